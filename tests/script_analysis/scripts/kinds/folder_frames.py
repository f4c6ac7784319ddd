import pandas as pd
from pathlib import Path
frames = []
for p in Path("csvs").glob("*.csv"):
    df = pd.read_csv(p)  # FINDING
    df["source"] = p.name
    frames.append(df)  # FINDING
all_ = pd.concat(frames)  # FINDING
