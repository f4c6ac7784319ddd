def main():
    docs = []
    def add(line):
        docs.append(line)  # FINDING
    for line in open("in.txt"):
        add(line)
    return docs
main()
