import boto3
s3 = boto3.client("s3")
body = s3.get_object(Bucket="b", Key="k")["Body"].read()  # FINDING
