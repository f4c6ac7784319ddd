"""Cut at the last newline of each block and carry the rest."""
import sys

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
rest = b""
with open(sys.argv[1], "rb") as f, open(sys.argv[2], "wb") as out:
    while block := f.read(1 << 22):
        rest += block
        cut = rest.rfind(b"\n") + 1
        text, rest = rest[:cut].decode(), rest[cut:]
        np.array(enc.encode_ordinary(text), dtype=np.uint16).tofile(out)
    np.array(enc.encode_ordinary(rest.decode()), dtype=np.uint16).tofile(out)
