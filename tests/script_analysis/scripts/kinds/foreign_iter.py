import corpuslib
with open("o.txt", "w") as out:
    for doc in corpuslib.read_documents("in.warc"):  # UNSEEN
        out.write(doc.text)
