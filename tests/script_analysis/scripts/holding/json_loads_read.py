import json
from pathlib import Path

docs = json.loads(Path("dump.json").read_text(encoding="utf-8"))  # FINDING whole-read json-load
with open("out.txt", "w") as out:
    for doc in docs:
        out.write(doc["text"] + "\n")
