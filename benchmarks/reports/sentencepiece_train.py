"""sentencepiece loads every sentence before it trains."""

import sys

import sentencepiece as spm

spm.SentencePieceTrainer.train(  # cause
    input=sys.argv[1], model_prefix="out", vocab_size=500, num_threads=1, minloglevel=2, model_type="bpe"
)
print("done")
