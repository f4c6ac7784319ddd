import io, gzip
with open("in.txt", "rb") as f, open("o.bin", "wb") as out:
    while block := f.read(1 << 20):
        buf = io.BytesIO()
        with gzip.GzipFile(fileobj=buf, mode="wb") as z:
            z.write(block)
        out.write(buf.getvalue())
