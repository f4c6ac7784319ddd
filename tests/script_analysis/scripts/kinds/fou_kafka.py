from kafka import KafkaConsumer
msgs = []
for m in KafkaConsumer("docs"):  # UNSEEN
    msgs.append(m.value)
