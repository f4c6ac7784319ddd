import hashlib
def key(line):
    return hashlib.blake2b(line, digest_size=16).hexdigest()
def main():
    seen = set()
    with open("x.txt", "rb") as src, open("y.txt", "wb") as dst:
        for line in src:
            k = key(line)
            if k not in seen:
                seen.add(k)  # FINDING
                dst.write(line)
main()
