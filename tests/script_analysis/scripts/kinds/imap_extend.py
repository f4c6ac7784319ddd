from multiprocessing import Pool
import tiktoken
enc = tiktoken.get_encoding("gpt2")
def work(line):
    return enc.encode_ordinary(line)
if __name__ == "__main__":
    ids = []
    with Pool(4) as pool:
        for r in pool.imap_unordered(work, open("in.txt"), 100):
            ids.extend(r)  # FINDING
