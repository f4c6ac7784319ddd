import json
from urllib.request import urlopen
data = json.load(urlopen("http://x/in.json"))  # FINDING
