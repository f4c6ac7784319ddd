import os, pandas as pd
frames = []
for name in os.listdir("texts"):
    with open(os.path.join("texts", name)) as f:
        frames.append(pd.DataFrame({"text": [f.read()]}))  # FINDING
df = pd.concat(frames, ignore_index=True)  # FINDING
df = df.sample(frac=1)  # FINDING
df.to_csv("out.csv")
