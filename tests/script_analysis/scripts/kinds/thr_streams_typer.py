import sys
def main(argv):
    src, dst = argv[1:3]
    with open(src, "rb") as f, open(dst, "wb") as out:
        while chunk := f.read(1 << 16):
            out.write(chunk.translate(None, b"\r"))
main(sys.argv)
