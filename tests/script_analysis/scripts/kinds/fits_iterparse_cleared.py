import xml.etree.ElementTree as ET
with open("out.txt", "w") as out:
    for event, elem in ET.iterparse("wiki.xml", events=("end",)):
        if elem.tag.endswith("text"):
            out.write((elem.text or "") + "\n")
        elem.clear()
