def clean(text):
    out = ""
    for ch in text:
        if ch.isalnum():
            out += ch
    return out
with open("in.txt") as f, open("o.txt", "w") as o:
    for line in f:
        o.write(clean(line))
