"""The same with a pre-tokenizer: only different words are counted."""

import itertools
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers


def lines(name):
    with open(name) as file:
        yield from itertools.islice(file, 30_000)


tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
trainer = trainers.BpeTrainer(vocab_size=1000, show_progress=False)
tokenizer.train_from_iterator(lines(sys.argv[1]), trainer)
print(tokenizer.get_vocab_size())
