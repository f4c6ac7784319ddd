import json

import zstandard
import io


def documents(path):
    with open(path, "rb") as raw:
        reader = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8")
        for line in reader:
            yield json.loads(line)["text"]


def main():
    docs = list(documents("part-00.jsonl.zst"))  # FINDING list-of-input
    docs.sort(key=len)
    for doc in docs:
        print(len(doc))


main()
