"""Three lines that hold a part each, and one that gives back what it held."""

import sys

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
lines = text.splitlines()
upper = [line.upper() for line in lines]
del text
lengths = [len(line) << 20 for line in lines]
