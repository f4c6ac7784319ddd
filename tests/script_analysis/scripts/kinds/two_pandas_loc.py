import pandas as pd
df = pd.DataFrame(columns=["text"])
for i, line in enumerate(open("in.txt")):
    df.loc[i] = [line]  # FINDING
