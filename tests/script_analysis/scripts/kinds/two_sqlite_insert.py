import sqlite3
con = sqlite3.connect("x.db")
with open("in.txt") as f:
    con.executemany("insert into t values (?)", ((l,) for l in f))
con.commit()
