import torch
import numpy as np
t = torch.from_numpy(np.load("x.npy"))  # FINDING
