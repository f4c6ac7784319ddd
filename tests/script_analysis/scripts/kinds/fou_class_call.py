class Keep:
    def __init__(self):
        self.rows = []
    def __call__(self, x):
        self.rows.append(x)  # FINDING
keep = Keep()
for line in open("in.txt"):
    keep(line)
