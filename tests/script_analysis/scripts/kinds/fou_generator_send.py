def sink():
    rows = []
    while True:
        rows.append((yield))  # UNSEEN
s = sink()
next(s)
for line in open("in.txt"):
    s.send(line)
