"""A csv file is read whole to count by one of its columns."""

import sys

import pandas as pd

frame = pd.read_csv(sys.argv[1])  # cause
print(frame.groupby("label").size().to_dict())
