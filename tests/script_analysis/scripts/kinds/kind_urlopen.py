import urllib.request
data = urllib.request.urlopen("http://x/in.txt").read()  # FINDING
