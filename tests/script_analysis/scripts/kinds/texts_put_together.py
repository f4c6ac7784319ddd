import json

questions, answers = [], []
records = json.load(open("in.json"))  # FINDING
for record in records:
    question = record["instruction"]
    question = question + record["input"]
    questions.append(question)  # FINDING
    answers.append(record["output"])  # the text that the records hold already
