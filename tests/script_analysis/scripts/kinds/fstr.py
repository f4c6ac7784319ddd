text = ""
for line in open("in.txt"):
    text = f"{text}{line}"  # FINDING
