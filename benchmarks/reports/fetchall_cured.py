"""The same row by row."""

import sqlite3
import sys

cursor = sqlite3.connect(sys.argv[1]).execute("select id, text from documents")
print(sum(len(text) for _, text in cursor))
