import mmap

import tiktoken

enc = tiktoken.get_encoding("gpt2")
count = 0
with open("train.txt", "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
    position = 0
    while position < len(mapped):
        end = mapped.find(b"\n", position + (1 << 20)) + 1 or len(mapped)
        count += len(enc.encode_ordinary(mapped[position:end].decode()))
        position = end
print(count)
