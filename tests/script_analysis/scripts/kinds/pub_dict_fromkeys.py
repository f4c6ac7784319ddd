uniq = dict.fromkeys(open("in.txt"))  # FINDING
