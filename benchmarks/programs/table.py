"""A data frame of its lines."""

import csv
import sys

import pandas

frame = pandas.read_csv(sys.argv[1], sep="\x01", header=None, names=["text"], quoting=csv.QUOTE_NONE)
frame["length"] = frame["text"].str.len()
