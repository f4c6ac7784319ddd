"""The same, and each element is let go."""

import sys
import xml.etree.ElementTree as ET

total = 0
root = None
for event, element in ET.iterparse(sys.argv[1], events=("start", "end")):
    if root is None:
        root = element
    if event == "end" and element.tag == "page":
        total += len(element.text)
        root.clear()
print(total)
