vocab = set()
for line in open("in.txt"):
    vocab |= set(line.split())
print(len(vocab))
