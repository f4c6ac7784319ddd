import csv
with open("in.csv") as f, open("o.csv", "w") as out:
    csv.writer(out).writerows(csv.reader(f))
