"""A list of lists of words of all documents, for a model that would take them one by one."""

import re
import sys


def sentences(name):
    corpus = []
    for line in open(name):
        for sentence in line.split("."):
            words = []
            for word in re.findall(r"\w+", sentence):  # cause
                words.append(word.lower())  # cause
            if words:
                corpus.append(words)  # cause
    return corpus


print(sum(len(words) for words in sentences(sys.argv[1])))
