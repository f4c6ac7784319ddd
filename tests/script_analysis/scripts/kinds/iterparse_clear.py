import xml.etree.ElementTree as ET
with open("o.txt", "w") as out:
    for event, el in ET.iterparse("dump.xml"):
        if el.tag == "text":
            out.write(el.text or "")
        el.clear()
