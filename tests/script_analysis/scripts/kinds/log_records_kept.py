import logging, logging.handlers
log = logging.getLogger("words")
log.addHandler(logging.handlers.MemoryHandler(10_000_000, flushLevel=logging.CRITICAL))  # UNSEEN
for line in open("in.txt"):
    log.warning("read %s", line)
