"""The same in pieces."""

import pathlib
import shutil
import sys
import urllib.request

address = pathlib.Path(sys.argv[1]).resolve().as_uri()
with urllib.request.urlopen(address) as response, open("out.cache", "wb") as out:
    shutil.copyfileobj(response, out)
    print(out.tell())
