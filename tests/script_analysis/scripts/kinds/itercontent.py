import requests
r = requests.get("u", stream=True)
b = b"".join(r.iter_content(1000))  # FINDING
