import subprocess
out = subprocess.check_output(["zcat", "in.gz"])  # FINDING
lines = out.decode().split("\n")  # FINDING
