import zlib
data = zlib.decompress(open("in.z", "rb").read())  # FINDING
