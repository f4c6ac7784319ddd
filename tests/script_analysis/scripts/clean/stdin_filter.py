import sys
for line in sys.stdin:
    if len(line.split()) > 5:
        sys.stdout.write(line)
