import s3fs
fs = s3fs.S3FileSystem()
with fs.open("bucket/in.txt") as f:
    lines = f.read().splitlines()  # FINDING
