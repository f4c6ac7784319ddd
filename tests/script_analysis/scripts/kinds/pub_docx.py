import docx
texts = [p.text for p in docx.Document("in.docx").paragraphs]  # UNSEEN
