class Rows(list):
    pass
rows = Rows()
for line in open("in.txt"):
    rows.append(line)  # FINDING
