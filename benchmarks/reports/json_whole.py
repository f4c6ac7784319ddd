"""A JSON array is parsed whole."""

import json
import sys

with open(sys.argv[1]) as file:
    records = json.load(file)  # cause
print(sum(len(record["text"]) for record in records))
