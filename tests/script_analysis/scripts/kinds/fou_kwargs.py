def read(**k):
    return open(k["path"]).read()  # FINDING
text = read(path="in.txt")
