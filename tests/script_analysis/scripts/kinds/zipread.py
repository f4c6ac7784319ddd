import zipfile
z = zipfile.ZipFile("in.zip")
docs = [z.read(n) for n in z.namelist()]  # FINDING
