offsets = [0]
with open("in.txt", "rb") as f:
    while f.readline():
        offsets.append(f.tell())
print(len(offsets))
