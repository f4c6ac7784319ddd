print(max(open("in.txt"), key=len))
