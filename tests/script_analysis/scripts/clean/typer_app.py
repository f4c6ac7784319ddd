import gzip
import json
from pathlib import Path

import typer

app = typer.Typer()


@app.command()
def convert(source: Path, target: Path, field: str = "text") -> None:
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt") as lines, target.open("w") as out:
        for line in lines:
            record = json.loads(line)
            if not record.get(field):
                continue
            out.write(json.dumps({"text": record[field].strip()}) + "\n")


if __name__ == "__main__":
    app()
