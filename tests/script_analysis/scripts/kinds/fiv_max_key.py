longest = max(open("in.txt"), key=len)
print(longest)
