import webdataset as wds
ds = wds.WebDataset("shards-{000..100}.tar").decode()
rows = list(ds)  # FINDING
