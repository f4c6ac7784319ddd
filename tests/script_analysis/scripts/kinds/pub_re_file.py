import re
with open("in.txt") as f:
    urls = re.findall(r"https?://\S+", f.read())  # FINDING
