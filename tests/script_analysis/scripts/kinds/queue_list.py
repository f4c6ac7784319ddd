import queue, threading
q = queue.Queue(maxsize=100)
def writer():
    with open("o.txt", "w") as o:
        while True:
            x = q.get()
            if x is None:
                break
            o.write(x)
t = threading.Thread(target=writer)
t.start()
with open("in.txt") as f:
    for line in f:
        q.put(line)
q.put(None)
t.join()
