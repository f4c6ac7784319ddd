import subprocess
rev = subprocess.check_output(["git", "rev-parse", "HEAD"]).decode().strip()
with open("in.txt") as f:
    for line in f:
        print(rev, line)
