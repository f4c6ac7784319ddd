def clean():
    with open("in.txt") as f:
        for line in f:
            yield line.strip().lower() + "\n"
with open("o.txt", "w") as out:
    out.writelines(clean())
