import os
texts = {}
for root, dirs, files in os.walk("corpus"):
    for name in files:
        with open(os.path.join(root, name)) as f:
            texts[name] = f.read()  # FINDING
