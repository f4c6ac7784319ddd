"""Keeps every line."""

import sys

kept = []
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        kept.append(line)
