from multiprocessing import Pool
def work(doc):
    return len(doc)
docs = [l for l in open("in.txt")]  # FINDING
with Pool(4) as p:
    print(sum(p.imap(work, docs)))
