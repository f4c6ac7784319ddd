"""Keeps an int for each word."""

import sys

ids = []
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        ids.extend(hash(word) % 50257 for word in line.split())
