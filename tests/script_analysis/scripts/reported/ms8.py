import pickle
docs = pickle.load(open("docs.pkl", "rb"))  # FINDING
print(len(docs))
