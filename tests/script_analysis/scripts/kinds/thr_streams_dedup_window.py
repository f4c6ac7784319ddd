from collections import OrderedDict
seen = OrderedDict()
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        h = hash(line)
        if h in seen:
            continue
        seen[h] = None
        if len(seen) > 100_000:
            seen.popitem(last=False)
        out.write(line)
