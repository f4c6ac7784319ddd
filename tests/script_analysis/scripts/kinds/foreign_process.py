import cleaner
cleaner.process("in.jsonl", "out.jsonl")  # UNSEEN
