import json
dec = json.JSONDecoder()
obj = dec.decode(open("in.json").read())  # FINDING
