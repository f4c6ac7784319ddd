import webdataset as wds
with open("o.txt", "w") as out:
    for sample in wds.WebDataset("shards-{000..100}.tar"):
        out.write(sample["txt"].decode())
