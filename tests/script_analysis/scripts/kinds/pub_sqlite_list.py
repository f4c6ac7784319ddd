import sqlite3
con = sqlite3.connect("x.db")
rows = [r[0] for r in con.execute("select text from docs")]  # FINDING
