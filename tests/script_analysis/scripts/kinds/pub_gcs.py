from google.cloud import storage
blob = storage.Client().bucket("b").blob("k")
text = blob.download_as_text()  # FINDING
