import requests
with requests.get("https://x/in.txt", stream=True) as r, open("o.txt", "wb") as out:
    r.raise_for_status()
    for block in r.iter_content(1 << 20):
        out.write(block)
