import tensorflow as tf
docs = []
with tf.io.gfile.GFile("in.txt", "r") as r:
    while True:
        line = r.readline()
        if not line:
            break
        docs.append(line.split())  # FINDING
