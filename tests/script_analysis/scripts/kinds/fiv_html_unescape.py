import html
text = html.unescape(open("in.txt").read())  # FINDING
