from sentence_transformers import SentenceTransformer
m = SentenceTransformer("all-MiniLM-L6-v2")
emb = m.encode(open("in.txt").readlines())  # FINDING
