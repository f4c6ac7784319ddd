import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def write(out, ids):
    np.array(ids, dtype=np.uint16).tofile(out)
    ids.clear()


def main():
    pending = []
    with open("train.txt", encoding="utf-8") as f, open("train.bin", "wb") as out:
        while True:
            if len(pending) > 1 << 20:
                write(out, pending)
            piece = f.read(1 << 20)
            if not piece:
                break
            pending += enc.encode_ordinary(piece)
        write(out, pending)


if __name__ == "__main__":
    main()
