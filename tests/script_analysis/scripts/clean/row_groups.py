import pyarrow.parquet as pq

file = pq.ParquetFile("fineweb.parquet")
with open("fineweb.txt", "w") as out:
    for number in range(file.num_row_groups):
        table = file.read_row_group(number, columns=["text"])
        for text in table.column("text").to_pylist():
            out.write(text)
            out.write("\n<|endoftext|>\n")
