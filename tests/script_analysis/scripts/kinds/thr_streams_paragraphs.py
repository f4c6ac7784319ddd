def paragraphs(path):
    para = []
    with open(path) as f:
        for line in f:
            if line.strip():
                para.append(line)
            elif para:
                yield "".join(para)
                para = []
    if para:
        yield "".join(para)
with open("o.txt", "w") as out:
    for p in paragraphs("in.txt"):
        out.write(p.replace("\n", " ") + "\n")
