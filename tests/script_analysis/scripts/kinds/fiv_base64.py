import base64
data = base64.b64decode(open("in.b64", "rb").read())  # FINDING
