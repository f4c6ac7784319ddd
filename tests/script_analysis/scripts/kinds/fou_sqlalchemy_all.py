from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///x.db")
with engine.connect() as con:
    rows = con.execute(text("select body from docs")).fetchall()  # FINDING
