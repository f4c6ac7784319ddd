import csv, io
buf = io.StringIO()
w = csv.writer(buf)
for line in open("in.txt"):
    w.writerow([line])  # FINDING
