import csv
import sys

csv.field_size_limit(sys.maxsize)
with open("articles.csv", newline="") as source, open("articles.txt", "w") as out:
    for row in csv.DictReader(source):
        body = row["body"].replace("\r\n", "\n").strip()
        if len(body) > 200:
            out.write(body + "\n\n")
