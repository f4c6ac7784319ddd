def old():
    return open("in.txt").read()
def main():
    with open("in.txt") as f:
        for line in f:
            print(line)
main()
