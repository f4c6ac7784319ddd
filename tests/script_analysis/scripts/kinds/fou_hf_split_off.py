from datasets import load_dataset
ds = load_dataset("json", data_files="in.jsonl", split="train")
s = ds.train_test_split(test_size=0.1)
s.save_to_disk("out")
