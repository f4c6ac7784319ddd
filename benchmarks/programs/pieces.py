"""Keeps the input as pieces of a megabyte."""

import sys

kept = []
with open(sys.argv[1], "rb") as file:
    while piece := file.read(1 << 20):
        kept.append(piece)
        sum(piece)
