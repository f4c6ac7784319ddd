import tarfile
docs = []
with tarfile.open("x.tar.gz") as tar:
    for m in tar:
        docs.append(tar.extractfile(m).read())  # FINDING
