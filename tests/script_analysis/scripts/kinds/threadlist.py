import threading
rows = []
def work(p):
    for line in open(p):
        rows.append(line)  # FINDING
ts = [threading.Thread(target=work, args=(p,)) for p in ["a.txt", "b.txt"]]
for t in ts:
    t.start()
