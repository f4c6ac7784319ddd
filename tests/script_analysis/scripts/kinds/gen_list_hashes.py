import hashlib
def hashes(path):
    with open(path, "rb") as f:
        for line in f:
            yield hashlib.md5(line).hexdigest()
seen = set(hashes("in.txt"))  # FINDING
