"""The same with one row for each key on the right."""

import pandas as pd

a = pd.DataFrame({"k": [number % 300 for number in range(40000)], "v": range(40000)})
b = pd.DataFrame({"k": [number % 300 for number in range(40000)], "w": range(40000)})
joined = a.merge(b.drop_duplicates("k"), on="k")
print(len(joined))
