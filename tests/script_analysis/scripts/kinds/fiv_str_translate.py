text = open("in.txt").read()  # FINDING
text = text.translate(str.maketrans("", "", "!?"))  # FINDING
