import collections

counts = collections.Counter()
with open("corpus.txt", encoding="utf-8") as f:
    for line in f:
        counts.update(line.split())
for word, count in counts.most_common(1000):
    print(word, count)
