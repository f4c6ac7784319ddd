import random
f = open("in.txt")
s = random.sample(f.readlines(), 10)  # FINDING
