import fileinput
rows = [l for l in fileinput.input()]  # FINDING
