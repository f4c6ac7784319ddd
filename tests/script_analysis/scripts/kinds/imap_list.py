from multiprocessing import Pool
def work(line):
    return line.upper()
if __name__ == "__main__":
    with Pool(4) as pool:
        out = list(pool.imap(work, open("in.txt")))  # FINDING
