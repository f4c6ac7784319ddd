import psycopg2
conn = psycopg2.connect("dbname=x")
cur = conn.cursor()
cur.execute("select text from docs")
rows = cur.fetchall()  # FINDING
