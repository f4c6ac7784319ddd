def describe(row):
    s = ""
    for k in row:
        s += k + " "
    return s
with open("in.txt") as f, open("o.txt", "w") as o:
    for line in f:
        o.write(describe(line.split()))
