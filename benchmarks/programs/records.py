"""Keeps a dict for each line."""

import sys

kept = []
with open(sys.argv[1], encoding="utf-8") as file:
    for number, line in enumerate(file):
        kept.append({"id": number, "text": line, "words": line.count(" ")})
