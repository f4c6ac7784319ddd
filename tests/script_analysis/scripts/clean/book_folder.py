"""One book a file: a book is a document, and is let go before the next."""
from pathlib import Path

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
with open("books.bin", "wb") as out:
    for book in sorted(Path("gutenberg").rglob("*.txt")):
        text = book.read_text(encoding="utf-8", errors="replace")
        start = text.find("*** START")
        ids = [50256] + enc.encode_ordinary(text[max(start, 0) :])
        np.array(ids, dtype=np.uint16).tofile(out)
