import xml.etree.ElementTree as ET
with open("o.txt", "w") as out:
    for _, el in ET.iterparse("dump.xml"):
        if el.tag == "text" and el.text:
            out.write(el.text)
        el.clear()
