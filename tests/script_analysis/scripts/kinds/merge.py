import pandas as pd
a = pd.read_csv("a.csv")  # FINDING
b = pd.read_csv("b.csv")  # FINDING
c = a.merge(b, on="k")  # FINDING
