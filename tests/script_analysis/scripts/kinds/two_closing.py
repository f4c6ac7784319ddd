from contextlib import closing
from urllib.request import urlopen
with closing(urlopen("http://x/in.txt")) as r:
    rows = r.readlines()  # FINDING
