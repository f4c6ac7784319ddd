def words():
    for line in open("in.txt"):
        yield len(set(line.split()))
print(max(words()))
