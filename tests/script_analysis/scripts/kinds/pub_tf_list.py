import tensorflow as tf
rows = list(tf.data.TextLineDataset("in.txt").as_numpy_iterator())  # FINDING
