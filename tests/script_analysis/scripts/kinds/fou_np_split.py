import numpy as np
ids = np.fromfile("ids.bin", dtype=np.uint16)  # FINDING
np.random.shuffle(ids)
train = ids[: int(len(ids) * 0.9)]
