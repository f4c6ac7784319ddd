import nltk
toks = nltk.word_tokenize(open("in.txt").read())  # FINDING # UNSEEN
