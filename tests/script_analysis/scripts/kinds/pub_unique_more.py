from more_itertools import unique_everseen
with open("in.txt") as f, open("o.txt", "w") as out:
    out.writelines(unique_everseen(f))  # UNSEEN
