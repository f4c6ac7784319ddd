import re
P = re.compile(r"\w+")
text = open("in.txt").read()  # FINDING
for w in P.findall(text):  # FINDING
    print(w)
