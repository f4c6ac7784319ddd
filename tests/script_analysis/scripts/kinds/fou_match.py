rows = []
for line in open("in.txt"):
    match line.split():
        case [a, *rest]:
            rows.append(rest)  # FINDING
