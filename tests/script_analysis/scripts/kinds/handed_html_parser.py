from html.parser import HTMLParser
class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts = []
    def handle_data(self, data):
        self.texts.append(data)  # UNSEEN
parser = Texts()
with open("in.html") as f:
    for line in f:
        parser.feed(line)
print(len(parser.texts))
