import re
found = 0
def count(match):
    global found
    found += 1
    return ""
with open("in.txt") as file, open("out.txt", "w") as out:
    for line in file:
        out.write(re.sub(r"\d+", count, line))
print(found)
