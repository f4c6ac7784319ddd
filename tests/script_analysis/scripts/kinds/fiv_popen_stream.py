import subprocess
p = subprocess.Popen(["zcat", "in.gz"], stdout=subprocess.PIPE, text=True)
with open("o.txt", "w") as out:
    for line in p.stdout:
        out.write(line)
