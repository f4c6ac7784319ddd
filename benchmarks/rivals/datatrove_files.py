"""datatrove's LocalPipelineExecutor over a folder of .jsonl: a task a file, as its README has it; no shuffle.

    python datatrove_files.py FOLDER OUT WORKERS

Source: datatrove 0.10.1. Run it with the Python of .venv-bench. Its tokenizer is made from the same ranks as
everyone's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # measured: two processes of one thread beat one of two
os.environ["DATATROVE_COLORIZE_LOGS"] = "0"

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from hf_gpt2 import write_tokenizer

if __name__ == "__main__":
    folder, out, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    tokenizer_file = Path(os.environ.get("TMPDIR", "/tmp"), "oomguard-bench-gpt2.json")
    if not tokenizer_file.exists():  # made once, some seconds: not datatrove's work
        write_tokenizer(tokenizer_file)
    # batch_size: measured: 1,000 is as fast as its default of 10,000 documents, and takes a third of the memory.
    writer = DocumentTokenizer(
        str(out),
        str(tokenizer_file),
        eos_token="<|endoftext|>",
        batch_size=1000,
        shuffle_documents=False,
        save_final_metadata=False,
    )
    steps = [JsonlReader(folder, glob_pattern="*.jsonl"), writer]
    tasks = len(list(Path(folder).glob("*.jsonl")))
    LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(out / "logs")).run()
