import io
buf = io.StringIO()
for line in open("in.txt"):
    print(line.strip(), file=buf)  # FINDING
