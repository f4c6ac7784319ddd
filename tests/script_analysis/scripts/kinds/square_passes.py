with open("o.txt", "w") as out:
    for epoch in range(3):
        for line in open("in.txt"):
            for w in line.split():
                out.write(w + "\n")
