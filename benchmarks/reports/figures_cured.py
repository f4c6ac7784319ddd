"""The same, and each is closed."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

for number in range(60):
    fig = plt.figure(figsize=(10, 8))
    plt.plot(range(100), [number * x for x in range(100)])
    fig.savefig("out.png")
    plt.close(fig)
print(len(plt.get_fignums()))
