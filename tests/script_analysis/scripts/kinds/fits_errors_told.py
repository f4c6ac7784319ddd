import json, logging
wrong, last = 0, None
for line in open("in.jsonl"):
    try:
        row = json.loads(line)
    except ValueError as problem:
        logging.warning("%s", problem)
        wrong, last = wrong + 1, problem
print(wrong, last)
