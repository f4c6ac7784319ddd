import tensorflow as tf
ds = tf.data.TextLineDataset("in.txt").shuffle(10_000_000).batch(32)  # UNSEEN
for x in ds:
    pass
