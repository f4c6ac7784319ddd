import linecache
for i in range(10):
    print(linecache.getline("in.txt", i))  # FINDING
