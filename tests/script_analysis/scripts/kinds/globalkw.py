TEXT = ""
def add(line):
    global TEXT
    TEXT += line  # FINDING
for line in open("in.txt"):
    add(line)
