with open("urls_and_text.tsv") as f:
    rows = sorted(f, key=lambda line: line.split("\t")[0])  # FINDING list-of-input
with open("sorted.tsv", "w") as out:
    for row in rows:
        out.write(row)
