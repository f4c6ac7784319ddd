from bs4 import BeautifulSoup
soup = BeautifulSoup(open("dump.xml"), "lxml")  # FINDING
for page in soup.find_all("page"):
    print(page.text)
