import dask.bag as db
texts = db.read_text("*.txt").map(str.strip).compute()  # FINDING
