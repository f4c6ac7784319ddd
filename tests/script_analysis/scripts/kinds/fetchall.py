import sqlite3
rows = sqlite3.connect("a.db").execute("select text from docs").fetchall()  # FINDING
