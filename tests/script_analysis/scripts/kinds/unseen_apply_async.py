from multiprocessing import Pool
def work(line):
    with open("out.txt", "a") as out:
        out.write(line.lower())
if __name__ == "__main__":
    with Pool(4) as pool:
        for line in open("in.txt"):
            pool.apply_async(work, (line,))  # UNSEEN
        pool.close()
        pool.join()
