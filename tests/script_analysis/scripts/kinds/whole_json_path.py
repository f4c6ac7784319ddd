import json
from pathlib import Path
data = json.load(Path("in.json").open())  # FINDING
