import functools
@functools.cache  # FINDING
def norm(s):
    return s.strip().lower()
def main():
    with open("in.txt") as f:
        for line in f:
            print(norm(line))
main()
