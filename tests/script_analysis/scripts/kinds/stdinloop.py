import sys
rows = []
for line in sys.stdin:
    rows.append(line)  # FINDING
