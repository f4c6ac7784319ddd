from pymongo import MongoClient
db = MongoClient()["corpus"]  # UNSEEN
docs = list(db.docs.find())  # UNSEEN
