"""A BPE tokenizer is trained without a pre-tokenizer: each line is a word, and all of them are counted."""

import itertools
import sys

from tokenizers import Tokenizer, models, trainers


def lines(name):
    with open(name) as file:
        yield from itertools.islice(file, 30_000)


tokenizer = Tokenizer(models.BPE())
trainer = trainers.BpeTrainer(vocab_size=1000, show_progress=False)
tokenizer.train_from_iterator(lines(sys.argv[1]), trainer)  # cause
print(tokenizer.get_vocab_size())
