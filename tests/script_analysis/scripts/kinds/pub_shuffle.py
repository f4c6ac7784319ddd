import random
lines = open("in.txt").readlines()  # FINDING
random.shuffle(lines)
open("o.txt", "w").writelines(lines)
