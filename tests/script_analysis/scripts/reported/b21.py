import xml.etree.ElementTree as ET
root = ET.parse("wiki.xml").getroot()  # FINDING
for page in root: print(page.tag)
