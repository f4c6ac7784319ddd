import gzip
data = gzip.decompress(open("in.gz", "rb").read())  # FINDING
