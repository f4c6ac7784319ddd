import tarfile
with tarfile.open("in.tar.gz", "r|gz") as t, open("o.txt", "wb") as out:
    for m in t:
        f = t.extractfile(m)
        if f:
            out.write(f.read())
