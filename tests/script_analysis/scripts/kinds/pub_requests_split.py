import requests
lines = requests.get("https://x/in.txt").text.split("\n")  # FINDING
