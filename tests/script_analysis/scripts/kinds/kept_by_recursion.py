import sys
sys.setrecursionlimit(10**6)
def rest(f):  # UNSEEN
    line = f.readline()
    if not line:
        return []
    return [line] + rest(f)
print(len(rest(open("in.txt"))))
