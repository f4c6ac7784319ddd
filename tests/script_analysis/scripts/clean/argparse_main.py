import argparse, json, re
from pathlib import Path
from tqdm import tqdm
def clean(text):
    text = re.sub(r"\s+", " ", text)
    return text.strip()
def process(src: Path, dst: Path, field: str) -> int:
    n = 0
    with src.open() as fin, dst.open("w") as fout:
        for line in tqdm(fin, desc=src.name):
            row = json.loads(line)
            row[field] = clean(row[field])
            fout.write(json.dumps(row, ensure_ascii=False) + "\n")
            n += 1
    return n
def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("inputs", nargs="+", type=Path)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--field", default="text")
    args = ap.parse_args()
    total = 0
    for src in args.inputs:
        total += process(src, args.out / src.name, args.field)
    print(total)
if __name__ == "__main__":
    main()
