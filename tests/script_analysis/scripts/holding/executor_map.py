from concurrent.futures import ProcessPoolExecutor

import tiktoken

enc = tiktoken.get_encoding("gpt2")


def count_and_encode(text):
    return enc.encode_ordinary(text)


def main():
    with open("book.txt", encoding="utf-8") as f:
        paragraphs = f.read().split("\n\n")  # FINDING whole-read list-of-input
    with ProcessPoolExecutor() as executor, open("book.bin", "wb") as out:
        for ids in executor.map(count_and_encode, paragraphs):  # FINDING pool-map
            out.write(bytes(str(ids), "ascii"))


if __name__ == "__main__":
    main()
