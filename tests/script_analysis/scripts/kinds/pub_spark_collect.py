from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
rows = spark.read.text("in.txt").collect()  # FINDING
