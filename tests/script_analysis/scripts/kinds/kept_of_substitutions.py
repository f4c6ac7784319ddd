import re
found = []
for line in open("in.txt"):
    re.sub(r"\w+@\w+", lambda m: found.append(m.group(0)) or "", line)  # UNSEEN
