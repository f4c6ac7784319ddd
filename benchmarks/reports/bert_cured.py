"""The same, a document at a time: each goes to disk, and its place in the order is drawn beforehand."""

import sys


class Tokenizer:
    def tokenize(self, text):
        return text.split()


def documents(name, tokenizer):
    document = []
    with open(name) as reader:
        for line in reader:
            line = line.strip()
            if not line:
                yield document
                document = []
            elif tokens := tokenizer.tokenize(line):
                document.append(tokens)
    yield document


total = 0
with open("out.txt", "w") as out:
    for document in documents(sys.argv[1], Tokenizer()):
        for tokens in document:
            total += len(tokens)
            out.write(" ".join(tokens) + "\n")
print(total)
