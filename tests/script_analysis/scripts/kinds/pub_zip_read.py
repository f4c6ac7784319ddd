import zipfile
with zipfile.ZipFile("enwik8.zip") as z:
    data = z.read("enwik8").decode("utf-8")  # FINDING
