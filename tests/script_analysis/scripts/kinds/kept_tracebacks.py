import traceback
tracebacks = []
for line in open("in.txt"):
    try:
        int(line)
    except Exception:
        tracebacks.append(traceback.format_exc())  # FINDING
print(len(tracebacks))
