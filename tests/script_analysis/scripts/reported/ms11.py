import json
lines = json.load(open("in.json"))  # FINDING
lines = [l.replace("\n", " ") for l in lines]  # FINDING
print(len(lines))
