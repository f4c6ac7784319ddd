import re
words = re.findall(r"\w+", open("in.txt").read())  # FINDING
