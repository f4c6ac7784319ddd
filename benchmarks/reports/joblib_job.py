"""One job of several is much larger: its worker is killed, and joblib says TerminatedWorkerError."""

import time

import numpy as np
from joblib import Parallel, delayed


def features(number):
    found = []
    for _ in range(number):
        found.append(np.ones(1 << 17))  # cause
        time.sleep(0.003)
    return float(sum(each.sum() for each in found))


if __name__ == "__main__":
    print(Parallel(n_jobs=2)(delayed(features)(number) for number in [5, 400]))
