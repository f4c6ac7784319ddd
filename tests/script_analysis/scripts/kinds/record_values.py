import json
all_tags = []
with open("in.jsonl") as f:
    for line in f:
        row = json.loads(line)
        for tag in row["tags"]:
            all_tags.append(tag)  # FINDING
