import linecache
n = linecache.getlines("in.txt")  # FINDING
