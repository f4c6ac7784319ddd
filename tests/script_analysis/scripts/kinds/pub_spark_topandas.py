from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("x").getOrCreate()
df = spark.read.parquet("in.parquet")
pdf = df.filter(df.lang == "en").toPandas()  # FINDING
