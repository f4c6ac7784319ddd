import argparse
p = argparse.ArgumentParser()
p.add_argument("infile", type=argparse.FileType("r"))
a = p.parse_args()
lines = a.infile.readlines()  # FINDING
