import lmdb
env = lmdb.open("x.lmdb")
rows = []
with env.begin() as txn:
    for k, v in txn.cursor():
        rows.append(v)  # FINDING
