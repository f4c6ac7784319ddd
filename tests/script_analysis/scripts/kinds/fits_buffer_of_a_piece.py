import io
import numpy as np
total = 0
with open("in.bin", "rb") as file, open("out.bin", "wb") as out:
    for line in file:
        part = np.frombuffer(line, np.uint8).astype(np.int64)
        total += int(part.sum())
        part.tofile(out)
        for word in io.BytesIO(line):
            out.write(word)
