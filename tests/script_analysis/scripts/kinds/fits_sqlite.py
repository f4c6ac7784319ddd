import sqlite3
con = sqlite3.connect("a.db")
for line in open("in.txt"):
    con.execute("insert into t values (?)", (line,))
con.commit()
