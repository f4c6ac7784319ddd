import importlib
m = importlib.import_module("loader")
data = m.load("in.txt")  # UNSEEN
