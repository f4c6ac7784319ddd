import jsonlines
with jsonlines.open("in.jsonl") as reader, jsonlines.open("out.jsonl", mode="w") as writer:
    for obj in reader:
        obj["n"] = len(obj["text"])
        writer.write(obj)
