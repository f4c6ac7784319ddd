import lmdb
env = lmdb.open("x.lmdb", readonly=True)
with env.begin() as txn, open("o.txt", "wb") as out:
    for k, v in txn.cursor():
        out.write(v)
