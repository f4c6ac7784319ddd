import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
T = 1024
buf = []
with open("in.txt") as f, open("o.bin", "wb") as out:
    for line in f:
        buf.extend(enc.encode_ordinary(line))
        while len(buf) >= T:
            out.write(np.array(buf[:T], dtype=np.uint16).tobytes())
            buf = buf[T:]
