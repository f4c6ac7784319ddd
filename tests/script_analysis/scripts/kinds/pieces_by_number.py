import json

lines = json.load(open("in.json"))  # FINDING
for number in range(100):
    part = lines[len(lines) // 100 * number : len(lines) // 100 * (number + 1)]
    ids = [tokenizer.encode(line) for line in part]
    last = ids[len(ids) - 8 :]
    with open(f"out{number}.txt", "w") as out:
        out.write(str(last))
