from lxml import etree
tree = etree.parse("dump.xml")  # FINDING
for p in tree.getroot():
    print(p.tag)
