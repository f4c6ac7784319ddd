import tiktoken

enc = tiktoken.get_encoding("gpt2")
tokens = []
for line in open("train.txt"):
    for token in enc.encode_ordinary(line):
        tokens.append(token)  # FINDING token-list
print(len(tokens))
