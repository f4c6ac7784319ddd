DOCS = []
def add(line):
    DOCS.append(line)  # FINDING
def main():
    for line in open("in.txt"):
        add(line)
main()
