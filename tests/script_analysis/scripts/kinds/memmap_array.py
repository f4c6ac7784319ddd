import numpy as np
mm = np.memmap("ids.bin", dtype=np.uint16, mode="r")
ids = np.array(mm)  # FINDING
