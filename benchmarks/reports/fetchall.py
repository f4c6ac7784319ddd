"""All rows of a table are fetched before the first is looked at."""

import sqlite3
import sys

cursor = sqlite3.connect(sys.argv[1]).execute("select id, text from documents")
rows = cursor.fetchall()  # cause
print(sum(len(text) for _, text in rows))
