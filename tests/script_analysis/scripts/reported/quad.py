import json
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.feature_extraction.text import TfidfVectorizer
texts = [l for l in open("in.txt")]  # FINDING
m = TfidfVectorizer().fit_transform(texts)  # FINDING
sim = cosine_similarity(m)  # FINDING
