import spacy
nlp = spacy.load("en_core_web_sm")
docs = list(nlp.pipe(open("in.txt")))  # FINDING
