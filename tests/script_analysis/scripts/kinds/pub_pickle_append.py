import pickle
objs = []
with open("in.pkl", "rb") as f:
    while True:
        try:
            objs.append(pickle.load(f))  # FINDING
        except EOFError:
            break
