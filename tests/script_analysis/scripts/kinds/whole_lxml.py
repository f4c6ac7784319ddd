from lxml import etree
with open("dump.xml", "rb") as f:
    tree = etree.parse(f)  # FINDING
