"""The same sparse: what learns from it takes it as it is."""

import sys

from sklearn.feature_extraction.text import TfidfVectorizer

with open(sys.argv[1]) as file:
    texts = [line for _, line in zip(range(8000), file)]
features = TfidfVectorizer().fit_transform(texts)
print(features.shape)
