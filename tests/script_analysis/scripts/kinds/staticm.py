class A:
    @staticmethod
    def load(p):
        return open(p).read()  # FINDING
t = A.load("in.txt")
