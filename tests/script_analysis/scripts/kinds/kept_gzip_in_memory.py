import gzip
import io
packed = io.BytesIO()
with gzip.GzipFile(fileobj=packed, mode="w") as file:
    for line in open("in.txt", "rb"):
        file.write(line)  # FINDING
