import tarfile
docs = []
with tarfile.open("in.tar.gz") as t:
    for m in t:
        docs.append(t.extractfile(m).read())  # FINDING
