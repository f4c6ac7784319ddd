import io, json
import zstandard as zstd
with open("in.jsonl.zst", "rb") as fh, open("out.txt", "w") as out:
    dctx = zstd.ZstdDecompressor(max_window_size=2**31)
    with dctx.stream_reader(fh) as reader:
        for line in io.TextIOWrapper(reader, encoding="utf-8"):
            out.write(json.loads(line)["text"] + "\n")
