import json
def read(path):
    with open(path) as f:
        for line in f:
            yield json.loads(line)
def clean(rows):
    for r in rows:
        r["text"] = r["text"].strip()
        yield r
def main():
    with open("o.jsonl", "w") as out:
        for r in clean(read("in.jsonl")):
            out.write(json.dumps(r) + "\n")
main()
