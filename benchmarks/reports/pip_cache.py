"""A download that is kept whole, then packed whole for the cache (pip before 21 did that with wheels)."""

import pathlib
import pickle
import sys
import urllib.request

address = pathlib.Path(sys.argv[1]).resolve().as_uri()
with urllib.request.urlopen(address) as response:
    body = response.read()  # cause
packed = pickle.dumps({"headers": {}, "body": body})  # cause
with open("out.cache", "wb") as out:
    out.write(packed)
print(len(packed))
