import json
import pandas as pd
df = pd.DataFrame([json.loads(l) for l in open("in.jsonl")])  # FINDING
