"""The same on a sample."""

import sys

import sentencepiece as spm

spm.SentencePieceTrainer.train(
    input=sys.argv[1], model_prefix="out", vocab_size=500, num_threads=1, minloglevel=2, model_type="bpe",
    input_sentence_size=10_000, shuffle_input_sentence=True,
)  # fmt: skip
print("done")
