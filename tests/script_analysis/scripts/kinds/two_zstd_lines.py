import zstandard, io, json
d = zstandard.ZstdDecompressor()
rows = []
with open("in.jsonl.zst", "rb") as f:
    for line in io.TextIOWrapper(d.stream_reader(f)):
        rows.append(json.loads(line))  # FINDING
