"""The same, and each is let go when it was used."""

import numpy as np
import ray

ray.init(num_cpus=1, include_dashboard=False, object_store_memory=400 << 20, log_to_driver=False)

total = 0.0
for number in range(150):
    one = ray.put(np.full(1 << 18, number))
    total += float(ray.get(one)[0])
    del one
print(total)
