import ftfy_like
with open("in.txt") as f, open("o.txt", "w") as o:
    for line in f:
        o.write(ftfy_like.fix(line))
