from collections import Counter
from pathlib import Path

text = Path("corpus.txt").read_text(encoding="utf-8")  # TRAP whole-read
words = text.split()  # TRAP list-of-input
counts = Counter(words)
print(counts.most_common(100))
