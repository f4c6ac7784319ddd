"""pyplot keeps each figure until it is closed."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

for number in range(60):
    fig = plt.figure(figsize=(10, 8))  # cause
    plt.plot(range(100), [number * x for x in range(100)])  # cause
    fig.savefig("out.png")  # cause
print(len(plt.get_fignums()))
