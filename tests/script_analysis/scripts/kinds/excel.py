import pandas as pd
df = pd.read_excel("in.xlsx")  # FINDING
