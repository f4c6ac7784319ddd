import array
import io
files, arrays = [], []
for line in open("in.bin", "rb"):
    files.append(io.BytesIO(line))  # FINDING
    arrays.append(array.array("B", line))  # FINDING
