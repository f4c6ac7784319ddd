import json

texts = []
with open("docs.jsonl") as f:
    for line in f:
        texts.append(json.loads(line)["text"])  # TRAP growing-list
corpus = "<|endoftext|>".join(texts)  # TRAP join-all
with open("corpus.txt", "w") as out:
    out.write(corpus)
