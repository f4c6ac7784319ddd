from urllib.request import urlopen
import shutil
with urlopen("http://x/in.txt") as r, open("o.txt", "wb") as out:
    shutil.copyfileobj(r, out)
