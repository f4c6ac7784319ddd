import duckdb
rows = duckdb.sql("select * from 'a.parquet'").fetchall()  # FINDING
