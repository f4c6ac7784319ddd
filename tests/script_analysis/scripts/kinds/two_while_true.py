import sys
lines = []
while True:
    try:
        lines.append(input())  # FINDING
    except EOFError:
        break
