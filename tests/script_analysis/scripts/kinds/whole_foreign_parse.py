import lxmlish
with open("in.xml") as f:
    tree = lxmlish.parse(f)  # UNSEEN
