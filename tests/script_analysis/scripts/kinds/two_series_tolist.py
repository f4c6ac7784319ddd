import pandas as pd
texts = pd.read_csv("in.csv")["text"].tolist()  # FINDING
