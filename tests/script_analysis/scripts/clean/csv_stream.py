import csv
with open("in.csv", newline="") as f, open("out.csv", "w", newline="") as g:
    reader, writer = csv.DictReader(f), csv.DictWriter(g, fieldnames=["text"])
    writer.writeheader()
    for row in reader:
        writer.writerow({"text": row["text"].strip()})
