import codecs
rows = list(codecs.iterdecode(open("in.txt", "rb"), "utf-8"))  # FINDING
