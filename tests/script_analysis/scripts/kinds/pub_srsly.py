import srsly
rows = list(srsly.read_jsonl("in.jsonl"))  # UNSEEN
