import logging
class Keep(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []
    def emit(self, record):
        self.records.append(record)  # UNSEEN
keep = Keep()
logging.getLogger().addHandler(keep)
for line in open("in.txt"):
    logging.warning("%s", line)
