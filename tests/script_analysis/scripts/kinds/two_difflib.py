import difflib
a = open("a.txt").readlines()  # FINDING
b = open("b.txt").readlines()  # FINDING
diff = list(difflib.unified_diff(a, b))
