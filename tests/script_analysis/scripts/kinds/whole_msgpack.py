import msgpack
with open("in.msgpack", "rb") as f:
    rows = msgpack.unpack(f)  # FINDING
