import json
import pandas as pd
rows = []
for line in open("in.jsonl"):
    rows.append(json.loads(line))  # FINDING
df = pd.DataFrame(rows)
