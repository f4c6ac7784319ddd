text = ""
for line in open("in.txt"):
    text = text + line.lower()  # FINDING
