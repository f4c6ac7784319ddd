"""Pretraining data: every document is kept as lists of tokens until all can be shuffled."""

import random
import sys


class Tokenizer:
    def tokenize(self, text):
        return text.split()  # cause


def create(name, tokenizer):
    documents = [[]]
    with open(name) as reader:
        while True:
            line = reader.readline()
            if not line:
                break
            line = line.strip()
            if not line:
                documents.append([])
            tokens = tokenizer.tokenize(line)
            if tokens:
                documents[-1].append(tokens)  # cause
    random.shuffle(documents)
    return documents


documents = create(sys.argv[1], Tokenizer())
print(sum(len(line) for document in documents for line in document))
