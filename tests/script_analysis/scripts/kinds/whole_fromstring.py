import xml.etree.ElementTree as ET
with open("dump.xml") as f:
    root = ET.fromstring(f.read())  # FINDING
