import lxml.html
with open("dump.xml", "rb") as f:
    tree = lxml.html.parse(f)  # FINDING
