import io
b = io.BytesIO()
for line in open("in.txt", "rb"):
    b.write(line)  # FINDING
