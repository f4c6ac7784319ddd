import tomllib
with open("articles.txt", "rb") as f:
    d = tomllib.load(f)  # FINDING
