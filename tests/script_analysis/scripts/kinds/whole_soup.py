from bs4 import BeautifulSoup
with open("wiki.html") as f:
    soup = BeautifulSoup(f, "html.parser")  # FINDING
