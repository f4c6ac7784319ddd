import re
ENDS = re.compile(r"(?<=[.!?])\s+")
def paragraphs(f):
    lines = []
    for line in f:
        if line.strip():
            lines.append(line.rstrip("\n"))
        elif lines:
            yield " ".join(lines)
            lines = []
    if lines:
        yield " ".join(lines)
with open("in.txt") as f, open("sentences.txt", "w") as out:
    for p in paragraphs(f):
        out.writelines(s + "\n" for s in ENDS.split(p))
