import io, requests, zipfile
z = zipfile.ZipFile(io.BytesIO(requests.get("https://x/in.zip").content))  # FINDING
z.extractall("corpus")
