import spacy
nlp = spacy.load("en_core_web_sm")
def lines(path):
    with open(path) as f:
        for line in f:
            yield line.strip()
with open("out.txt", "w") as out:
    for doc in nlp.pipe(lines("in.txt"), batch_size=100):
        out.write(" ".join(t.lemma_ for t in doc) + "\n")
