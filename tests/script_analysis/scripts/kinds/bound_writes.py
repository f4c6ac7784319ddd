out = open("o.txt", "w")
put = out.write
for line in open("in.txt"):
    put(line.lower())
