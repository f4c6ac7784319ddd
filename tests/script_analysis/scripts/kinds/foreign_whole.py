import cleaner
with open("in.txt") as f, open("o.txt", "w") as o:
    result = cleaner.clean_file(f)  # UNSEEN
    o.write(result)
