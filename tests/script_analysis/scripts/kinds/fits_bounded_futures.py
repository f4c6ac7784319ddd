from concurrent.futures import ProcessPoolExecutor, wait, FIRST_COMPLETED
def work(block):
    return [l.upper() for l in block]
def blocks(f, n=1000):
    block = []
    for line in f:
        block.append(line)
        if len(block) == n:
            yield block
            block = []
    if block:
        yield block
if __name__ == "__main__":
    with ProcessPoolExecutor(4) as ex, open("in.txt") as f, open("out.txt", "w") as out:
        pending = set()
        for block in blocks(f):
            if len(pending) >= 8:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for d in done:
                    out.writelines(d.result())
            pending.add(ex.submit(work, block))
        for d in pending:
            out.writelines(d.result())
