import warnings
caught = []
def show(message, category, filename, lineno, file=None, line=None):
    caught.append(str(message))  # UNSEEN
warnings.showwarning = show
for line in open("in.txt"):
    if not line.isascii():
        warnings.warn(f"odd: {line}")  # UNSEEN
