rows = []
it = iter(open("in.txt"))
while True:
    try:
        rows.append(next(it))  # FINDING
    except StopIteration:
        break
