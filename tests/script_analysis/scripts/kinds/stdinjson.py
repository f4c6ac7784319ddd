import json, sys
d = json.loads(sys.stdin.read())  # FINDING
