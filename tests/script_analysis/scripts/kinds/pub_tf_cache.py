import tensorflow as tf
ds = tf.data.TextLineDataset("in.txt").map(lambda x: x).cache()  # FINDING
for x in ds:
    pass
