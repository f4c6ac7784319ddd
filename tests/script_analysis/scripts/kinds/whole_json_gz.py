import gzip, json
data = json.load(gzip.open("in.json.gz"))  # FINDING
