import threading
threads = []
for line in open("in.txt"):
    thread = threading.Thread(target=print, args=(line,))
    thread.start()
    threads.append(thread)  # FINDING
for thread in threads:
    thread.join()
