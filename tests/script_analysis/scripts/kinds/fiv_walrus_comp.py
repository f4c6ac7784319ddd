rows = [y for l in open("in.txt") if (y := l.strip())]  # FINDING
