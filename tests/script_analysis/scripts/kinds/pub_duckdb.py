import duckdb
rows = duckdb.sql("select text from 'in.parquet'").fetchall()  # FINDING
