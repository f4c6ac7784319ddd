from gensim.models import KeyedVectors
kv = KeyedVectors.load_word2vec_format("GoogleNews.bin", binary=True)  # UNSEEN
