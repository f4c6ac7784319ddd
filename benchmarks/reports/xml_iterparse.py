"""iterparse builds the whole tree, however it is read."""

import sys
import xml.etree.ElementTree as ET

total = 0
for event, element in ET.iterparse(sys.argv[1]):  # cause
    if element.tag == "page":
        total += len(element.text)
print(total)
