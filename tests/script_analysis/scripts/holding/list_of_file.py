import random

with open("corpus.txt", encoding="utf-8", errors="ignore") as f:
    lines = list(f)  # FINDING list-of-input
random.shuffle(lines)
with open("shuffled.txt", "w", encoding="utf-8") as out:
    out.writelines(lines)
