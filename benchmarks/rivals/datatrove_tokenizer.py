"""datatrove's DocumentTokenizer (HF tokenizers), 2 tasks on 2 workers, each half of the file, no shuffle.

Source: datatrove 0.10.1. Run it with the Python of .venv-bench (`make .venv-bench`). Its tokenizer is
made from the same ranks as everyone's.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # measured: two processes of one thread beat one of two
os.environ["DATATROVE_COLORIZE_LOGS"] = "0"

from common import arguments, documents, finish, fsync, phase
from datatrove.data import Document, DocumentsPipeline
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.tokens import DocumentTokenizer
from hf_gpt2 import write_tokenizer

TASKS = 2


class Documents(PipelineStep):
    """Each task reads the documents that begin in its share of the bytes."""

    name, type = "documents of a text", "reader"

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    def run(self, _data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        size = Path(self.source).stat().st_size
        share = documents(self.source, rank * size // world_size, (rank + 1) * size // world_size)
        for number, text in enumerate(share):
            yield Document(text=text, id=f"{rank}/{number}")


if __name__ == "__main__":
    source, out = arguments()
    tokenizer_file = Path(os.environ.get("TMPDIR", "/tmp"), "oomguard-bench-gpt2.json")
    if not tokenizer_file.exists():  # made once, some seconds: not datatrove's work
        write_tokenizer(tokenizer_file)
    phase("start")
    # batch_size: its default, 10,000 documents, holds the whole of a small input: 1.8 GiB for 45 MB.
    writer = DocumentTokenizer(
        str(out),
        str(tokenizer_file),
        eos_token="<|endoftext|>",
        batch_size=1000,
        shuffle_documents=False,
        save_final_metadata=False,
    )
    steps = [Documents(source), writer]
    LocalPipelineExecutor(steps, tasks=TASKS, workers=TASKS, logging_dir=str(out / "logs")).run()
    files = sorted(out.glob("*.ds"))
    for file in files:
        fsync(file)
    phase("encode and write")
    finish(sum(file.stat().st_size for file in files) // 2, files)
