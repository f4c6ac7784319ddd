def sink():
    rows = []
    while True:
        rows.append((yield))  # FINDING
s = sink()
next(s)
for line in open("in.txt"):
    s.send(line)
