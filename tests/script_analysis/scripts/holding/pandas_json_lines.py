import pandas as pd

reviews = pd.read_json("reviews.jsonl", lines=True)  # FINDING dataframe
texts = reviews["text"].tolist()  # FINDING column-tolist
with open("reviews.txt", "w") as out:
    out.write("\n".join(texts))  # FINDING join-all
