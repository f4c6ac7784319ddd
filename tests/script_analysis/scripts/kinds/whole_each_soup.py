from bs4 import BeautifulSoup
import json
with open("in.jsonl") as f, open("o.txt", "w") as out:
    for line in f:
        out.write(BeautifulSoup(json.loads(line)["html"], "html.parser").get_text())
