import msgpack
with open("in.msgpack", "rb") as f, open("o.txt", "w") as out:
    for record in msgpack.Unpacker(f):
        out.write(record["text"])
