import zipfile
z = zipfile.ZipFile("enwik9.zip")
text = z.open(z.namelist()[0]).read()  # FINDING
