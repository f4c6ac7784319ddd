from itertools import zip_longest

pairs = 0
with open("train.en") as english, open("train.de") as german, open("train.tsv", "w") as out:
    for a, b in zip_longest(english, german, fillvalue=""):
        out.write(f"{a.strip()}\t{b.strip()}\n")
        pairs += 1
print(pairs)
