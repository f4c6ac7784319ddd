import duckdb
con = duckdb.connect()
df = con.execute("select text from 'in.parquet'").df()  # FINDING
