from datasketch import MinHash, MinHashLSH
lsh = MinHashLSH(threshold=0.5, num_perm=128)
with open("in.txt") as f:
    for n, line in enumerate(f):
        m = MinHash(num_perm=128)
        for w in line.split():
            m.update(w.encode())
        lsh.insert(n, m)  # UNSEEN
