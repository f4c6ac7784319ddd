def combine(paths, max_size_mb=500):
    held = []
    size = 0
    for path in paths:
        with open(path) as file:
            text = file.read()
        if size + len(text) > max_size_mb * 1024 * 1024:
            with open("out.txt", "w") as out:
                out.write("\n".join(held))
            held = [text]
            size = len(text)
        else:
            held.append(text)  # FINDING
            size += len(text)


import glob

combine(glob.glob("books/*.txt"))
