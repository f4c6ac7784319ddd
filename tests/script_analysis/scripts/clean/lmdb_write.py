import lmdb
env = lmdb.open("out.lmdb", map_size=1 << 40)
with open("in.txt", "rb") as f:
    txn = env.begin(write=True)
    for n, line in enumerate(f):
        txn.put(str(n).encode(), line)
        if n % 10000 == 0:
            txn.commit()
            txn = env.begin(write=True)
    txn.commit()
