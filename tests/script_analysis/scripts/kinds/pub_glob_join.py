from pathlib import Path
text = "\n".join(p.read_text() for p in Path("corpus").glob("*.txt"))  # FINDING
