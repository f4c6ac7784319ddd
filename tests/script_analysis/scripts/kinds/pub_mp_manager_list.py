from multiprocessing import Manager, Process
def work(path, out):
    for line in open(path):
        out.append(line)  # FINDING
m = Manager()
shared = m.list()
ps = [Process(target=work, args=(p, shared)) for p in ("a.txt", "b.txt")]
for p in ps:
    p.start()
