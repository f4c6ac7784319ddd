data = b""
f = open("in.bin", "rb")
while True:
    chunk = f.read(4096)
    if not chunk:
        break
    data += chunk  # FINDING
