import unicodedata
text = unicodedata.normalize("NFC", open("in.txt").read())  # FINDING
