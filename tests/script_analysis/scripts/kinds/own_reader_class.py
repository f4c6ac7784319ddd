import os
class LineReader:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
    def readline(self):
        return os.read(self.fd, 100)
docs = []
r = LineReader("in.txt")
while True:
    line = r.readline()
    if not line:
        break
    docs.append(line.split())  # FINDING
