import json
rows = []
json.load(open("in.json"), object_hook=rows.append)  # FINDING
