import os

path = "train.txt"
size = os.path.getsize(path)
with open(path, "rb") as f:
    blob = f.read(size)  # FINDING whole-read
text = blob.decode("utf-8")  # FINDING copy
for start in range(0, len(text), 4096):
    print(len(text[start : start + 4096].split()))
