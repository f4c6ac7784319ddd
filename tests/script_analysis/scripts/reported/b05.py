import pickle
docs = [l for l in open("in.txt")]  # FINDING
pickle.dump(docs, open("o.pkl", "wb"))
