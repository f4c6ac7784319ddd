"""Holds a line at a time."""

import sys

words = 0
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        words += len(line.split())
