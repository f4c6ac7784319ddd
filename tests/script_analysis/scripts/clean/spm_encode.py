import numpy as np
import sentencepiece as spm
sp = spm.SentencePieceProcessor(model_file="tok.model")
with open("in.txt") as f, open("out.bin", "wb") as out:
    for line in f:
        ids = sp.encode(line, out_type=int)
        out.write(np.array(ids, dtype=np.uint16).tobytes())
