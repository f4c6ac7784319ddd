import json

import tiktoken


def load(path):
    with open(path) as f:
        return [json.loads(line) for line in f]  # FINDING list-of-input


def main():
    enc = tiktoken.get_encoding("gpt2")
    records = load("train.jsonl")
    with open("train.bin", "wb") as out:
        for record in records:
            ids = enc.encode(record["text"], disallowed_special=())
            out.write(b"".join(i.to_bytes(2, "little") for i in ids))


main()
