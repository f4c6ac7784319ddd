import xml.etree.ElementTree as ET
import gzip
with gzip.open("dump.xml.gz") as f:
    tree = ET.parse(f)  # FINDING
