import random

kept = []
with open("train.txt") as f:
    for number, line in enumerate(f):
        if len(kept) < 1000:
            kept.append(line)
        elif (at := random.randrange(number + 1)) < 1000:
            kept[at] = line
for line in kept:
    print(line, end="")
