import json
from multiprocessing import Pool
def work(line):
    d = json.loads(line)
    return d["text"].upper()
if __name__ == "__main__":
    with Pool(4) as pool, open("in.jsonl") as f, open("o.txt", "w") as out:
        for text in pool.imap(work, f, chunksize=64):
            out.write(text + "\n")
