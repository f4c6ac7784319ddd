class Index(dict):
    def put(self, k, v):
        self[k] = v  # FINDING
ix = Index()
for i, line in enumerate(open("in.txt")):
    ix.put(i, line)
