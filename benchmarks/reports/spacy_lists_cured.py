"""The same with a generator."""

import re
import sys


def sentences(name):
    for line in open(name):
        for sentence in line.split("."):
            if words := [word.lower() for word in re.findall(r"\w+", sentence)]:
                yield words


print(sum(len(words) for words in sentences(sys.argv[1])))
