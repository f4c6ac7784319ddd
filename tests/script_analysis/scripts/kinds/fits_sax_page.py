import xml.sax
class Pages(xml.sax.ContentHandler):
    def __init__(self, out):
        self.out, self.inside, self.parts = out, False, []
    def startElement(self, name, attrs):
        if name == "text":
            self.inside, self.parts = True, []
    def characters(self, content):
        if self.inside:
            self.parts.append(content)
    def endElement(self, name):
        if name == "text":
            self.out.write("".join(self.parts) + "\n")
            self.inside = False
with open("out.txt", "w") as out:
    xml.sax.parse("wiki.xml", Pages(out))
