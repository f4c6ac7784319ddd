class Bag:
    pass
b = Bag()
for i, line in enumerate(open("in.txt")):
    setattr(b, f"x{i}", line)  # UNSEEN
