import psycopg2
conn = psycopg2.connect("dbname=x")  # UNSEEN
cur = conn.cursor()  # UNSEEN
cur.execute("select text from docs")  # UNSEEN
for row in cur:
    print(row[0])
