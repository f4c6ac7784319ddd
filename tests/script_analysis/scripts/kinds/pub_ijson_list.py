import ijson
rows = list(ijson.items(open("in.json", "rb"), "item"))  # FINDING
