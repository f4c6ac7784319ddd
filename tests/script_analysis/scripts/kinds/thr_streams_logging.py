import logging, time
log = logging.getLogger(__name__)
start = time.time()
errors = 0
with open("in.txt") as f, open("o.txt", "w") as out:
    for n, line in enumerate(f, 1):
        try:
            out.write(line.encode("ascii").decode())
        except UnicodeError as e:
            errors += 1
            log.warning("line %d: %s", n, e)
        if n % 100_000 == 0:
            log.info("%d lines in %.1f s", n, time.time() - start)
