import tiktoken
enc = tiktoken.get_encoding("gpt2")
docs = []
for line in open("in.txt"):
    ids = [1]
    for part in line.split("|"):
        ids += enc.encode_ordinary(part)
    docs.append(ids)  # FINDING
