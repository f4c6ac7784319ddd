import os
text = os.popen("cat in.txt").read()  # FINDING
