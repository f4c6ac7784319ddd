import sys
data = sys.stdin.buffer.read()  # FINDING
