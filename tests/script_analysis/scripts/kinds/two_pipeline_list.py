import json
def read(path):
    with open(path) as f:
        for line in f:
            yield json.loads(line)
def clean(rows):
    return [r for r in rows if r["text"]]  # FINDING
def main():
    rows = clean(read("in.jsonl"))
    with open("o.jsonl", "w") as out:
        for r in rows:
            out.write(json.dumps(r) + "\n")
main()
