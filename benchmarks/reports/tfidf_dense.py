"""A sparse matrix of documents by words is made dense."""

import sys

from sklearn.feature_extraction.text import TfidfVectorizer

with open(sys.argv[1]) as file:
    texts = [line for _, line in zip(range(8000), file)]
features = TfidfVectorizer().fit_transform(texts).toarray()  # cause
print(features.shape)
