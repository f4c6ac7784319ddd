from multiprocessing import Pool
import tiktoken
enc = tiktoken.get_encoding("gpt2")
def work(line):
    return enc.encode_ordinary(line)
if __name__ == "__main__":
    with Pool(4) as pool:
        jobs = []
        for line in open("in.txt"):
            jobs.append(pool.apply_async(work, (line,)))  # FINDING
        with open("o.bin", "wb") as out:
            for j in jobs:
                out.write(bytes(str(j.get()), "ascii"))
