"""Reads all of it, and then works."""

import sys

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
words = text.split(" ")
