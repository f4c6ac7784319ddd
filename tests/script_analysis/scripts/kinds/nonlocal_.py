def main():
    text = ""
    def add(line):
        nonlocal text
        text += line  # FINDING
    for line in open("in.txt"):
        add(line)
main()
