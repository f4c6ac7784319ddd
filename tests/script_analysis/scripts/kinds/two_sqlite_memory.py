import sqlite3
con = sqlite3.connect(":memory:")
con.execute("create table t (x text)")
for l in open("in.txt"):
    con.execute("insert into t values (?)", (l,))  # UNSEEN
