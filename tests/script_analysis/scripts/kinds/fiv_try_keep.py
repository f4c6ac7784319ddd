rows = []
f = open("in.txt")
try:
    for line in f:
        rows.append(line)  # FINDING
finally:
    f.close()
