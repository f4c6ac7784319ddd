from datasets import load_dataset, concatenate_datasets
ds = concatenate_datasets([load_dataset("a", split="train"), load_dataset("b", split="train")])
with open("o.txt", "w") as out:
    for r in ds:
        out.write(r["text"])
