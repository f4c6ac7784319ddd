from pathlib import Path

import pandas as pd

frames = []
for file in sorted(Path("fineweb").glob("*.parquet")):
    frames.append(pd.read_parquet(file, columns=["text"]))  # FINDING dataframe growing-list
corpus = pd.concat(frames)  # FINDING concat-tables
corpus.to_csv("fineweb.csv")
