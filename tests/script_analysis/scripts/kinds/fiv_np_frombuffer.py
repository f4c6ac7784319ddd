import numpy as np
ids = np.frombuffer(open("in.bin", "rb").read(), dtype=np.uint16)  # FINDING
