import sys
data = sys.stdin.read()  # FINDING
print(len(data))
