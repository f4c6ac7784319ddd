import lz4.frame
data = lz4.frame.decompress(open("in.lz4", "rb").read())  # FINDING
