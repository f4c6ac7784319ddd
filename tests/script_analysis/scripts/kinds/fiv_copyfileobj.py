import shutil, io
buf = io.BytesIO()
with open("in.bin", "rb") as f:
    shutil.copyfileobj(f, buf)  # FINDING
