import sys
lines = sys.stdin.readlines()  # FINDING
