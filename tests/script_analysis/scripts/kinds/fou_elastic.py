from elasticsearch.helpers import scan
rows = [h["_source"] for h in scan(None, index="docs")]  # UNSEEN
