import csv
rows = list(csv.reader(open("in.csv")))  # FINDING
