import plistlib
with open("library.xml", "rb") as f:
    d = plistlib.load(f)  # FINDING
