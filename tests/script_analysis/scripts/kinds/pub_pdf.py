import PyPDF2
r = PyPDF2.PdfReader(open("in.pdf", "rb"))  # UNSEEN
text = "".join(p.extract_text() for p in r.pages)  # FINDING # UNSEEN
