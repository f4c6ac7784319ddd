import tiktoken
enc = tiktoken.get_encoding("gpt2")
docs = []
for line in open("in.txt"):
    doc = {"ids": []}
    for s in line.split("."):
        doc["ids"] += enc.encode(s)
    docs.append(doc)  # FINDING
