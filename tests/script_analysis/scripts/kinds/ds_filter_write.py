from datasets import load_dataset
ds = load_dataset("x", split="train")
ds = ds.filter(lambda r: len(r["text"]) > 10).map(lambda r: {"n": len(r["text"])})
ds.to_json("o.jsonl")
