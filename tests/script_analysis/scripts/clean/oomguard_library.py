import oomguard

options = oomguard.PrepareOptions(inputs=("train.txt",), format="npy")
shards = oomguard.prepare(options, max_rss=512 << 20)
print(shards.tokens, shards.peak_unreclaimable)
