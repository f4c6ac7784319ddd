import requests
data = requests.get("https://x/data.json").json()  # UNSEEN
