from gensim.corpora import Dictionary
texts = [l.split() for l in open("in.txt")]  # FINDING
d = Dictionary(texts)  # UNSEEN
