import sys

import sentencepiece as spm

sp = spm.SentencePieceProcessor(model_file="m.model")
text = sys.stdin.read()  # TRAP whole-read
ids = sp.encode(text, out_type=int)  # TRAP token-list
sys.stdout.write(" ".join(map(str, ids)))  # TRAP join-all
