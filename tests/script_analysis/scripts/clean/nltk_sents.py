from nltk.tokenize import sent_tokenize
with open("in.txt") as f, open("out.txt", "w") as out:
    for line in f:
        for sent in sent_tokenize(line):
            out.write(sent + "\n")
