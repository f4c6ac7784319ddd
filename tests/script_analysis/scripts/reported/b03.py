from pandas import read_csv as rc
t = rc("a.csv")  # FINDING
