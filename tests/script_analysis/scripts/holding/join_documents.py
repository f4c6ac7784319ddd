import json

texts = []
with open("docs.jsonl") as f:
    for line in f:
        texts.append(json.loads(line)["text"])  # FINDING growing-list
corpus = "<|endoftext|>".join(texts)  # FINDING join-all
with open("corpus.txt", "w") as out:
    out.write(corpus)
