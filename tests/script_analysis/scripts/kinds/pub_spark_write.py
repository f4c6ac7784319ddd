from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.read.text("in.txt").distinct().write.parquet("out")
