class T:
    def decode(self, ids):
        return "".join(self.to_tokens(ids))
    def to_tokens(self, ids):
        return [self.inv[i] for i in ids]
    def name(self, path):
        parts = path.split("/")
        return "/".join(parts[1:])
def run():
    t = T()
    with open("in.txt") as f:
        for line in f:
            print(t.name(line))
run()
