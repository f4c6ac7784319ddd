import pandas as pd
d = pd.read_csv("in.csv").to_dict("records")  # FINDING
