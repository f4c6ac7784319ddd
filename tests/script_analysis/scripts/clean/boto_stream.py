import boto3, json
s3 = boto3.client("s3")
body = s3.get_object(Bucket="b", Key="x.jsonl")["Body"]
with open("out.txt", "w") as out:
    for line in body.iter_lines():
        out.write(json.loads(line)["text"])
