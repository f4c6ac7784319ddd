from urllib.request import urlopen
data = urlopen("http://x/in.txt").read().decode()  # FINDING
