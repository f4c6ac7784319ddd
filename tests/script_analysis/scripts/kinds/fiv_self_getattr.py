class C:
    def __init__(self):
        self.rows = {}
    def run(self):
        for line in open("in.txt"):
            getattr(self, "rows")[line] = 1  # FINDING
C().run()
