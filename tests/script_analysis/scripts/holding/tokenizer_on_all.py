from transformers import GPT2TokenizerFast

tok = GPT2TokenizerFast.from_pretrained("gpt2")
with open("train.txt") as f:
    lines = [line.rstrip("\n") for line in f]  # FINDING list-of-input
encoded = tok(lines, truncation=True)["input_ids"]  # FINDING token-list
with open("out.txt", "w") as out:
    for ids in encoded:
        out.write(" ".join(map(str, ids)) + "\n")
