import bigstore
with open("notes.txt") as f:
    for line in f:
        print(line)
data = bigstore.load("corpus.idx")  # UNSEEN
bigstore.write(data, "out.idx")
