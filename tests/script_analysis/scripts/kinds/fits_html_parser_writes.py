from html.parser import HTMLParser
class Texts(HTMLParser):
    def __init__(self, out):
        super().__init__()
        self.out, self.open = out, []
    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
    def handle_endtag(self, tag):
        if self.open:
            self.open.pop()
    def handle_data(self, data):
        if "script" not in self.open:
            self.out.write(data)
with open("in.html") as file, open("out.txt", "w") as out:
    parser = Texts(out)
    for line in file:
        parser.feed(line)
