import pickle


def version():
    return 3


VERSION = version()


def read_all(paths):
    found = []
    for path in paths:
        with open(path, "rb") as file:
            data = pickle.load(file)  # UNSEEN
            found.extend(data)  # UNSEEN
    return found
