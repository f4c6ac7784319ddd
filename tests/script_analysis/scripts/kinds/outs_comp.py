outs = [open(f"p{i}.txt", "w") for i in range(8)]
with open("in.txt") as f:
    for n, line in enumerate(f):
        outs[n % 8].write(line)
for o in outs:
    o.close()
