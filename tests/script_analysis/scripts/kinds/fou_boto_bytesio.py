import boto3, io
buf = io.BytesIO()
boto3.client("s3").download_fileobj("b", "k", buf)  # UNSEEN
