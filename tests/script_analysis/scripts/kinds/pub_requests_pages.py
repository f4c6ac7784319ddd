import requests
with open("o.txt", "w") as out:
    for url in open("links.txt"):
        out.write(requests.get(url.strip()).text)
