import json
import pyarrow as pa
import pyarrow.parquet as pq
schema = pa.schema([("text", pa.string())])
def flush(writer, rows):
    writer.write_table(pa.Table.from_pylist(rows, schema=schema))
with pq.ParquetWriter("out.parquet", schema) as writer, open("in.jsonl") as f:
    rows = []
    for line in f:
        rows.append({"text": json.loads(line)["text"]})
        if len(rows) >= 10_000:
            flush(writer, rows)
            rows = []
    if rows:
        flush(writer, rows)
