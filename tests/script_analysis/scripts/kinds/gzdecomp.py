import gzip
t = gzip.decompress(open("in.gz", "rb").read())  # FINDING
