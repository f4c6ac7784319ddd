from sklearn.feature_extraction.text import CountVectorizer
v = CountVectorizer()
x = v.fit_transform(open("in.txt"))  # FINDING
