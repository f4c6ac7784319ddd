import xml.etree.ElementTree as ET
titles = []
for ev, el in ET.iterparse("dump.xml"):
    if el.tag == "title":
        titles.append(el.text)  # FINDING
    el.clear()
