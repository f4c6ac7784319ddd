"""`oomguard check`: read a Python script for what holds its input in memory, and say what that takes here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import edge
from oomguard.kernel.machine import read_headroom
from oomguard.script_analysis.analysis import analyze_tree
from oomguard.script_analysis.assessment import assess
from oomguard.script_analysis.resources import count_fixed
from oomguard.script_analysis.source_files import SourceFiles, find_package_entry, nested_too_deeply

if TYPE_CHECKING:
    from oomguard.script_analysis.model import ScriptCheck


@edge
def check_script(
    path: Path | str,
    input: Path | str | None = None,  # noqa: A002 - as the flag
    *,
    text_field: str | None = None,
    root: Path | None = None,
) -> ScriptCheck:
    """Find what in a script grows with its input; with `input`, say whether that fits in this machine.

    The script is parsed, never run, and so are the modules of its own directory that it imports. `text_field` names
    the field of JSON Lines or tables that is the text. `root` is where its imports begin, by default its directory.
    Raises: BadInput if it is not Python, or the input cannot be read.
    """
    from oomguard.script_analysis.input_sample import sample_input

    script = Path(path)
    files = SourceFiles(script, root=root)
    sample = None if input is None else sample_input(str(input), text_field=text_field)
    try:
        analysis = analyze_tree(files.tree, None if sample is None else sample.shape, files.find_module)
    except (RecursionError, MemoryError) as error:
        raise nested_too_deeply(script) from error
    own = {file.rpartition("/")[2].removesuffix(".py") for file in files.names} | {
        file.partition("/")[0].removesuffix(".py") for file in files.names
    }
    fixed = count_fixed(files.trees, own, cpus=len(os.sched_getaffinity(0)))
    name = None if input is None else str(input)
    return assess(str(script), files, analysis, fixed, read_headroom(), sample, name)


def check_module(
    name: str,
    input: Path | str | None = None,  # noqa: A002 - as the flag
    *,
    text_field: str | None = None,
    folder: Path | None = None,
) -> ScriptCheck:
    """Check what `python -m NAME` runs in `folder`, by default the current one.

    Raises: BadInput as check_script, and if there is no such module.
    """
    folder = folder or Path()
    entry = find_package_entry(name, folder)
    root = folder / "src" if entry.is_relative_to(folder / "src") and name.partition(".")[0] != "src" else folder
    return check_script(entry, input, text_field=text_field, root=root)


__all__ = ["check_module", "check_script"]
