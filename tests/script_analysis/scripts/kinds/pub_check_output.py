import subprocess
lines = subprocess.check_output(["zcat", "in.gz"]).decode().split("\n")  # FINDING
