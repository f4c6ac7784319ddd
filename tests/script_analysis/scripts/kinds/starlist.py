rows = [*open("in.txt")]  # FINDING
