"""The same record by record: a line holds one."""

import json
import sys

total = 0
with open(sys.argv[1]) as file:
    for line in file:
        if line := line.strip().strip("[],"):
            total += len(json.loads(line)["text"])
print(total)
