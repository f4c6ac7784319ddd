import random
random.seed(1)
k = 1000
sample = []
with open("in.txt") as f:
    for n, line in enumerate(f):
        if n < k:
            sample.append(line)
        else:
            j = random.randrange(n + 1)
            if j < k:
                sample[j] = line
open("sample.txt", "w").writelines(sample)
