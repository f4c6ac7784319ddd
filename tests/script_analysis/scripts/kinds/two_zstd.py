import zstandard, io
d = zstandard.ZstdDecompressor()
with open("in.zst", "rb") as f:
    text = d.stream_reader(f).read()  # FINDING
