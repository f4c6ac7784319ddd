def lengths():
    for line in open("in.txt"):
        yield len(line)
print(sum(lengths()), max(lengths()))
