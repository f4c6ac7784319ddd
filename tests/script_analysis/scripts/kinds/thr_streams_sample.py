import random
k, kept = 1000, []
with open("in.txt") as f:
    for i, line in enumerate(f):
        if i < k:
            kept.append(line)
        elif (j := random.randint(0, i)) < k:
            kept[j] = line
print(len(kept))
