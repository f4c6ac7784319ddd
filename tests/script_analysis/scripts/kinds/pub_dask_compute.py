import dask.dataframe as dd
df = dd.read_csv("in-*.csv").compute()  # FINDING
