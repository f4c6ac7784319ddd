import csv
with open("in.csv") as f:
    rows = list(csv.DictReader(f))  # FINDING
