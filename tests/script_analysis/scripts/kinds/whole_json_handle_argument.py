import json
def read(handle):
    return json.load(handle)  # FINDING
with open("in.json") as f:
    data = read(f)
