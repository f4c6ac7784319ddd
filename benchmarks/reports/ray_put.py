"""Every task's result stays in the object store, as the driver keeps a reference to each."""

import numpy as np
import ray

ray.init(num_cpus=1, include_dashboard=False, object_store_memory=400 << 20, log_to_driver=False)


@ray.remote
def work(number):
    return np.ones(1 << 18)


kept = []
for number in range(150):
    kept.append(ray.put(np.full(1 << 18, number)))  # cause
print(sum(float(ray.get(each)[0]) for each in kept))
