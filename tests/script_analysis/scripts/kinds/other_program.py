import subprocess
subprocess.run(["./tokenize", "in.txt", "out.bin"], check=True)  # UNSEEN
