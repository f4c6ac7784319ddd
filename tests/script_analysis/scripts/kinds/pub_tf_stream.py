import tensorflow as tf
n = 0
for x in tf.data.TextLineDataset("in.txt").batch(32).prefetch(2):
    n += 1
print(n)
