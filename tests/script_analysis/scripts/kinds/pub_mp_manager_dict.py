from multiprocessing import Manager
shared = Manager().dict()
for i, line in enumerate(open("in.txt")):
    shared[i] = line  # FINDING
