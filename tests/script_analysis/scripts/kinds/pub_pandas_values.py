import pandas as pd
x = pd.read_csv("in.csv").values.tolist()  # FINDING
