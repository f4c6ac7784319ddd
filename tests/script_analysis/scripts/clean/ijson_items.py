import ijson, json
with open("big.json", "rb") as f, open("out.jsonl", "w") as out:
    for item in ijson.items(f, "item"):
        out.write(json.dumps({"text": item["body"]}) + "\n")
