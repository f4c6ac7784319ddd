import tiktoken
from concurrent.futures import ProcessPoolExecutor, as_completed
enc = tiktoken.get_encoding("gpt2")
def shard(path):
    ids = []
    with open(path) as f:
        for line in f:
            ids.extend(enc.encode_ordinary(line))  # FINDING
    return ids
import glob
every = []
with ProcessPoolExecutor() as ex:
    futs = [ex.submit(shard, p) for p in glob.glob("in/*.txt")]  # FINDING
    for fu in as_completed(futs):
        every.extend(fu.result())  # FINDING
