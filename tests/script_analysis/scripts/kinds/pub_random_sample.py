import random
lines = random.sample(list(open("in.txt")), 100)  # FINDING
