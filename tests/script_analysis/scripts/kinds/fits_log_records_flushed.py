import logging, logging.handlers, queue
log = logging.getLogger("words")
log.addHandler(logging.handlers.MemoryHandler(capacity=1000, target=logging.StreamHandler()))
log.addHandler(logging.handlers.QueueHandler(queue.Queue(maxsize=1000)))
for line in open("in.txt"):
    log.warning("read %s", line)
