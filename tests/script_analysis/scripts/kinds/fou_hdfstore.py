import pandas as pd
df = pd.HDFStore("x.h5")["docs"]  # FINDING
