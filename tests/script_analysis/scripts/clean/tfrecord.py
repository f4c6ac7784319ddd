import tensorflow as tf
with tf.io.TFRecordWriter("out.tfrecord") as writer, open("in.txt", "rb") as f:
    for line in f:
        ex = tf.train.Example(features=tf.train.Features(feature={"t": tf.train.Feature(bytes_list=tf.train.BytesList(value=[line]))}))
        writer.write(ex.SerializeToString())
