from collections import OrderedDict
lines = list(OrderedDict.fromkeys(open("in.txt")))  # FINDING
