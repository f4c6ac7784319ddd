import xml.sax
class Handler(xml.sax.ContentHandler):
    def __init__(self):
        self.rows = []
    def characters(self, content):
        self.rows.append(content)  # UNSEEN
handler = Handler()
xml.sax.parse("in.xml", handler)
print(len(handler.rows))
