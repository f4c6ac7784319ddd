from functools import partial
with open("in.bin", "rb") as f, open("o.bin", "wb") as out:
    for block in iter(partial(f.read, 1 << 20), b""):
        out.write(block)
