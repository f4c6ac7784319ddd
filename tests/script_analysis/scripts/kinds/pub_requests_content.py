import requests
r = requests.get("https://x/input.txt")
with open("input.txt", "wb") as f:
    f.write(r.content)  # UNSEEN
