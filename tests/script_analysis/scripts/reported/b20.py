import csv
rows = list(csv.DictReader(open("in.csv")))  # FINDING
