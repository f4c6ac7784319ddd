rows = []
while True:
    try:
        rows.append(input())  # FINDING
    except EOFError:
        break
