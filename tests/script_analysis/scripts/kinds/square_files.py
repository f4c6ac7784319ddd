import glob
paths = glob.glob("d/*.txt")
with open("o.txt", "w") as out:
    for a in paths:
        for b in paths:
            out.write(a + b)
