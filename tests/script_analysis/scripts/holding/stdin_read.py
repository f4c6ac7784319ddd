import sys

import sentencepiece as spm

sp = spm.SentencePieceProcessor(model_file="m.model")
text = sys.stdin.read()  # FINDING whole-read
ids = sp.encode(text, out_type=int)  # FINDING token-list
sys.stdout.write(" ".join(map(str, ids)))  # FINDING join-all
