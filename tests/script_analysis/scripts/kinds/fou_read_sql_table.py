import pandas as pd
df = pd.read_sql_table("docs", "sqlite:///x.db")  # FINDING
