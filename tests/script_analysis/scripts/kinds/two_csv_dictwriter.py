import csv
with open("in.csv") as f, open("o.csv", "w") as out:
    r = csv.DictReader(f)
    w = csv.DictWriter(out, r.fieldnames)
    for row in r:
        w.writerow(row)
