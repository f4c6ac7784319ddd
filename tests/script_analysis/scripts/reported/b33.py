from datasets import Dataset
import json
ds = Dataset.from_list([json.loads(l) for l in open("in.jsonl")])  # FINDING
