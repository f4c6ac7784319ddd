files = [open(f"bucket{i}.txt", "w") for i in range(64)]
with open("in.txt") as f:
    for line in f:
        files[hash(line) % 64].write(line)
for x in files:
    x.close()
