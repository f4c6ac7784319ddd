import lz4.frame
data = lz4.frame.open("in.lz4").read()  # FINDING
