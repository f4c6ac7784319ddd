import pandas as pd

rows = []
for line in open("in.txt"):
    rows.append(line)  # FINDING
frame = pd.DataFrame(columns=["text"])
frame["text"] = rows  # FINDING
frame.to_csv("out.csv")
