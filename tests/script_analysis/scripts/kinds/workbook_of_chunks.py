import pandas as pd
writer = pd.ExcelWriter("out.xlsx")
for n, part in enumerate(pd.read_csv("in.csv", chunksize=10000)):
    part.to_excel(writer, sheet_name=str(n))  # UNSEEN
writer.close()
