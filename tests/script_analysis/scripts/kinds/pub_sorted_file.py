with open("in.txt") as f, open("o.txt", "w") as out:
    out.writelines(sorted(f))  # FINDING
