exec(open("code.py").read())  # UNSEEN
