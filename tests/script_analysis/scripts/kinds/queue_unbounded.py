import multiprocessing as mp
def worker(q):
    for line in iter(q.get, None):
        print(len(line))
if __name__ == "__main__":
    q = mp.Queue()
    ps = [mp.Process(target=worker, args=(q,)) for _ in range(4)]
    for p in ps:
        p.start()
    for line in open("in.txt"):
        q.put(line)  # UNSEEN
    for p in ps:
        q.put(None)
