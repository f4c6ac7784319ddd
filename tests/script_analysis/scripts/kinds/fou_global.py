ROWS = []
def add(x):
    global ROWS
    ROWS = ROWS + [x]  # FINDING
for line in open("in.txt"):
    add(line)
