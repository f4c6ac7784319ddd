import threading
from pathlib import Path
def work(path):
    with open(path) as file, open(path.with_suffix(".out"), "w") as out:
        for line in file:
            out.write(line.lower())
threads = [threading.Thread(target=work, args=(path,)) for path in Path("in").glob("*.txt")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
