import threading
rows = []
def work(p):
    for l in open(p):
        rows.append(l)  # FINDING
ts = [threading.Thread(target=work, args=(p,)) for p in ("a.txt", "b.txt")]
for t in ts: t.start()
