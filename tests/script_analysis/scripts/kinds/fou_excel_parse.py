import pandas as pd
df = pd.ExcelFile("in.xlsx").parse("Sheet1")  # FINDING
