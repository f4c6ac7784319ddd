"""Counts its lines, and then keeps them."""

import sys

with open(sys.argv[1], encoding="utf-8") as file:
    count = sum(1 for _ in file)
    file.seek(0)
    kept = [None] * count
    for number, line in enumerate(file):
        kept[number] = line
