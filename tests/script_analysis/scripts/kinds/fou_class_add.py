class Text:
    def __init__(self):
        self.t = ""
    def __iadd__(self, x):
        self.t += x  # FINDING
        return self
t = Text()
for line in open("in.txt"):
    t += line
