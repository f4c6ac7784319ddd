"""The package as a library: the public names are there, however often and in whichever order they are used."""

import subprocess
import sys

import pytest

import oomguard

ORDERS = [
    "import oomguard; oomguard.prepare; first = oomguard.prepare",
    "import oomguard; oomguard.PrepareOptions; first = oomguard.prepare",
    "import oomguard.preparation.api; first = oomguard.prepare",
    "from oomguard import PrepareOptions, prepare as first",
    "from oomguard.preparation.options import PrepareOptions; from oomguard import prepare as first",
    "from oomguard import *; first = prepare",
]


@pytest.mark.parametrize("program", ORDERS)
def test_prepare_is_the_function(program: str) -> None:
    """A fresh interpreter each: what was imported before decides what a name means."""
    check = f"{program}; assert callable(first), first"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_public_name_is_there() -> None:
    for name in oomguard.__all__:
        assert getattr(oomguard, name).__doc__


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        oomguard.nonsense  # noqa: B018
