import requests
s = requests.Session()
text = s.get("https://x/in.txt").text  # FINDING
