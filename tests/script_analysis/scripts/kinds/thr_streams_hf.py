from datasets import load_dataset
ds = load_dataset("allenai/c4", "en", split="train", streaming=True)
with open("o.txt", "w") as out:
    for ex in ds:
        out.write(ex["text"].replace("\n", " ") + "\n")
