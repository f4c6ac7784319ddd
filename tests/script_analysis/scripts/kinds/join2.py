text = ""
for line in open("in.txt"):
    text = "".join([text, line])  # FINDING
