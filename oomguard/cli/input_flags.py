"""The flags about the inputs that prepare and plan share."""

from __future__ import annotations

from oomguard.cli.commands import at_least, choice
from oomguard.preparation.reading.kinds import FORMATS
from oomguard.preparation.shuffle_rules import LARGEST_SEED

INPUT_FORMAT = choice(FORMATS, "Format of all inputs, whatever their names. auto: by name, else by the first bytes.")
SHUFFLE = at_least(
    0,
    "SEED",
    "Shuffle the documents across all inputs, on disk; the same number gives the same order. Default: the order of the "
    "inputs.",
    "--shuffle",
    most=LARGEST_SEED,
)
