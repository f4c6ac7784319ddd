import pyarrow as pa
with pa.OSFile("in.arrow", "rb") as f:  # UNSEEN
    t = pa.ipc.open_file(f).read_all()  # UNSEEN
