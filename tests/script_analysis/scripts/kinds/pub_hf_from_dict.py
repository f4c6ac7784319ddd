from datasets import Dataset
ds = Dataset.from_dict({"text": [l.strip() for l in open("in.txt")]})  # FINDING
