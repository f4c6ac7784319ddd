import csv
rows = []
with open("in.csv") as f:
    reader = csv.reader(f)
    next(reader)
    for text, label in reader:
        rows.append((text, int(label)))  # FINDING
