import subprocess
p = subprocess.Popen(["zcat", "x.gz"], stdout=subprocess.PIPE, text=True)
for line in p.stdout:
    print(line.strip())
