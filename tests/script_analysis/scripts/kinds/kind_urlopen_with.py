from urllib.request import urlopen
with urlopen("http://x/in.txt") as r:
    data = r.read()  # FINDING
