offsets = [0]
with open("in.txt", "rb") as f:
    for line in f:
        offsets.append(f.tell())
print(len(offsets))
