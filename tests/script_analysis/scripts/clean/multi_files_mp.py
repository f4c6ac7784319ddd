import glob, json
from multiprocessing import Pool
def convert(path):
    n = 0
    with open(path) as f, open(path + ".txt", "w") as out:
        for line in f:
            out.write(json.loads(line)["text"] + "\n")
            n += 1
    return n
if __name__ == "__main__":
    paths = sorted(glob.glob("data/*.jsonl"))
    with Pool(8) as pool:
        print(sum(pool.imap_unordered(convert, paths)))
