import io
buf = io.BytesIO()
with open("in.txt", "rb") as f:
    for block in iter(lambda: f.read(1 << 20), b""):
        buf.write(block)  # FINDING
