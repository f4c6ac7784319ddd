import subprocess
p = subprocess.Popen(["zcat", "in.gz"], stdout=subprocess.PIPE, text=True)
rows = list(p.stdout)  # FINDING
