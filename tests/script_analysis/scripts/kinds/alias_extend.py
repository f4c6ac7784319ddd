import tiktoken
enc = tiktoken.get_encoding("gpt2")
ids = []
put, encode = ids.extend, enc.encode_ordinary
for line in open("in.txt"):
    put(encode(line))  # FINDING
