from array import array
import tiktoken
enc = tiktoken.get_encoding("gpt2")
ids = array("H")
for line in open("in.txt"):
    ids.extend(enc.encode(line))  # FINDING
