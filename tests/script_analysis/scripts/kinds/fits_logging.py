import logging
log = logging.getLogger(__name__)
with open("in.txt") as f:
    for line in f:
        log.info("read %s", line)
