import boto3
s3 = boto3.client("s3")
with open("o.txt", "wb") as out:
    for line in s3.get_object(Bucket="b", Key="k")["Body"].iter_lines():
        out.write(line)
