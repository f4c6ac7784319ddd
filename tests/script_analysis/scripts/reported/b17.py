from pathlib import Path
texts = [p.read_text() for p in Path("d").glob("*.txt")]  # FINDING
