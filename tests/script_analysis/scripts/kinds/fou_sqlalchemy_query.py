from sqlalchemy.orm import sessionmaker
session = sessionmaker()()
docs = session.query("docs").all()  # FINDING
