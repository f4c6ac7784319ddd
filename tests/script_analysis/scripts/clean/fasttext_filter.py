import fasttext, json
model = fasttext.load_model("lid.176.bin")
kept = total = 0
with open("in.jsonl") as f, open("en.jsonl", "w") as out:
    for line in f:
        total += 1
        text = json.loads(line)["text"].replace("\n", " ")
        labels, scores = model.predict(text)
        if labels[0] == "__label__en" and scores[0] > 0.65:
            out.write(line)
            kept += 1
print(kept, total)
