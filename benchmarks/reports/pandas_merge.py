"""Keys that occur many times on both sides of a merge multiply."""

import pandas as pd

a = pd.DataFrame({"k": [number % 300 for number in range(40000)], "v": range(40000)})
b = pd.DataFrame({"k": [number % 300 for number in range(40000)], "w": range(40000)})
joined = a.merge(b, on="k")  # cause
print(len(joined))
