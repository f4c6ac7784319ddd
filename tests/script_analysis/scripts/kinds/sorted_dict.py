freq = {}
for line in open("in.txt"):
    for w in line.split():
        freq[w] = freq.get(w, 0) + 1
for w in sorted(freq, key=freq.get, reverse=True)[:100]:
    print(w, freq[w])
