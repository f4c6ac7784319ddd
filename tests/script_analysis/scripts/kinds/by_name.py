import cleaners
step = getattr(cleaners, "strip_html")
with open("in.txt") as f, open("o.txt", "w") as o:
    o.writelines(step(f))  # UNSEEN
