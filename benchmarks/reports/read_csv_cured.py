"""The same in parts."""

import sys

import pandas as pd

total = {}
for part in pd.read_csv(sys.argv[1], chunksize=10_000, usecols=["label"]):
    for label, count in part.groupby("label").size().items():
        total[label] = total.get(label, 0) + int(count)
print(total)
