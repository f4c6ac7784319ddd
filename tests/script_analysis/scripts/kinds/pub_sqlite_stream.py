import sqlite3
con = sqlite3.connect("x.db")
with open("o.txt", "w") as out:
    for (text,) in con.execute("select text from docs"):
        out.write(text)
