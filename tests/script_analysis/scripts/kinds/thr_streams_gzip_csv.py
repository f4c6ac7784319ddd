import csv, gzip
with gzip.open("in.csv.gz", "rt", newline="") as f, gzip.open("o.csv.gz", "wt", newline="") as g:
    w = csv.writer(g)
    for row in csv.reader(f):
        w.writerow([c.strip() for c in row])
