import sqlite3
con = sqlite3.connect("x.db")
cur = con.cursor()
cur.execute("select text from docs")
for (text,) in cur.fetchall():  # FINDING
    print(text)
