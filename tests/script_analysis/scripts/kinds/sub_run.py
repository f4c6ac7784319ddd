import subprocess
r = subprocess.run(["zcat", "x.gz"], capture_output=True, text=True)  # FINDING
for line in r.stdout.splitlines():  # FINDING
    print(line)
