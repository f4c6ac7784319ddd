import pandas as pd

reviews = pd.read_json("reviews.jsonl", lines=True)  # TRAP dataframe
texts = reviews["text"].tolist()  # TRAP tolist
with open("reviews.txt", "w") as out:
    out.write("\n".join(texts))  # TRAP join-all
