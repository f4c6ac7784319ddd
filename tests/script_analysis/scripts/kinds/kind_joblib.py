import joblib
d = joblib.load("docs.joblib")  # FINDING
