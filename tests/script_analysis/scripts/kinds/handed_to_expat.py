import xml.parsers.expat
texts = []
p = xml.parsers.expat.ParserCreate()
p.CharacterDataHandler = texts.append  # UNSEEN
with open("in.xml", "rb") as f:
    p.ParseFile(f)
