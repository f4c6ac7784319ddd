"""An array of what a list held."""

import sys

import numpy

ids = []
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        ids.extend(len(word) for word in line.split())
array = numpy.array(ids, dtype=numpy.int64)
