import sys

import tiktoken

enc = tiktoken.get_encoding("cl100k_base")
with open(sys.argv[1]) as source, open(sys.argv[2], "wb") as out:
    for line in source.readlines():  # FINDING readlines
        ids = enc.encode_ordinary(line)
        out.write(b"".join(i.to_bytes(4, "little") for i in ids))
