import pandas as pd
df = pd.read_gbq("select 1")  # FINDING
