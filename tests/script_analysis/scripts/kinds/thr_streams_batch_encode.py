from tokenizers import Tokenizer
tok = Tokenizer.from_file("tokenizer.json")
batch = []
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        batch.append(line)
        if len(batch) == 1000:
            for e in tok.encode_batch(batch):
                out.write(" ".join(map(str, e.ids)) + "\n")
            batch = []
    for e in tok.encode_batch(batch):
        out.write(" ".join(map(str, e.ids)) + "\n")
