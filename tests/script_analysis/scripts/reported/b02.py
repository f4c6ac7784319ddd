import pandas as rd
t = rd.read_parquet("a.parquet")  # FINDING
