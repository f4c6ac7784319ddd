"""A data set of its lines, and a list of their lengths."""

import sys
import tempfile

import datasets

datasets.disable_progress_bars()
with tempfile.TemporaryDirectory() as folder:
    data = datasets.load_dataset("text", data_files=sys.argv[1], cache_dir=folder, split="train")
    texts = list(data["text"])
