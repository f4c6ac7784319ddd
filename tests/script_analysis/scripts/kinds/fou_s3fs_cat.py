import s3fs
fs = s3fs.S3FileSystem()
data = fs.cat("bucket/in.txt")  # FINDING
