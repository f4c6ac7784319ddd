from collections import Counter
from pathlib import Path

text = Path("corpus.txt").read_text(encoding="utf-8")  # FINDING whole-read
words = text.split()  # FINDING list-of-input
counts = Counter(words)
print(counts.most_common(100))
