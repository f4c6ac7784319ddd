import json
bad = {}
for number, line in enumerate(open("in.jsonl")):
    try:
        row = json.loads(line)
    except json.JSONDecodeError as problem:  # it has the whole line
        bad[number] = problem  # FINDING
print(bad)
