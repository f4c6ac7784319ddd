import pyarrow.parquet as pq

rows = []
table = pq.read_table("in.parquet")  # FINDING
for prompt, chosen in zip(table["prompt"], table["chosen"]):
    prompt, chosen = prompt.as_py(), chosen.as_py()
    rows.append({"prompt": prompt.strip(), "chosen": chosen})  # FINDING
