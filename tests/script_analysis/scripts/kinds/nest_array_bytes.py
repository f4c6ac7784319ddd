from array import array
a = array("B")
with open("in.txt", "rb") as f:
    while block := f.read(1 << 20):
        a.frombytes(block)  # FINDING
