from collections import Counter
def words():
    for line in open("in.txt"):
        yield from line.split()
print(Counter(words()).most_common(10))
