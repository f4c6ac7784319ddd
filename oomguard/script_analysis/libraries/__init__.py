"""What is known of Python's own functions and of the usual libraries; each module registers itself in table.py."""

from oomguard.script_analysis.libraries import (
    containers,
    files,
    iterators,
    pools,
    processes,
    python,
    records,
    tables,
    texts,
    tokenizers,
)

__all__ = [
    "containers",
    "files",
    "iterators",
    "pools",
    "processes",
    "python",
    "records",
    "tables",
    "texts",
    "tokenizers",
]
