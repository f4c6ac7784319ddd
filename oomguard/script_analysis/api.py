"""`oomguard check`: read a Python script for what holds its input in memory, and say what that takes here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.kernel.machine.headroom import read_headroom
from oomguard.script_analysis.advice import ADVICE
from oomguard.script_analysis.analysis import Analysis, analyze_source
from oomguard.script_analysis.model import CheckedInput, Finding, ScriptCheck
from oomguard.script_analysis.text_shape import ENGLISH, TextShape
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from oomguard.estimation.corpus_sample import CorpusSample
    from oomguard.script_analysis.analysis import LineFinding

_LONGEST_SCRIPT = 8 * MIB
_LONGEST_CODE = 200  # characters of a line that are kept
_INTERPRETER = 90 * MIB  # CPython with numpy and tiktoken; what else a script imports is not counted


def check_script(path: Path | str, input: Path | str | None = None) -> ScriptCheck:  # noqa: A002 - as the flag
    """Find what in a script grows with its input; with `input`, say whether that fits in this machine.

    The script is parsed, never run. Raises: BadInput if it is no Python, or the input cannot be read.
    """
    source = _read_script(Path(path))
    sample = None if input is None else _sample(str(input))
    shape = ENGLISH if sample is None else sample.shape
    try:
        findings = analyze_source(source, shape)
    except (SyntaxError, ValueError) as error:
        raise _no_python(Path(path), error) from error
    except (RecursionError, MemoryError) as error:
        raise BadInput(
            f"{printable(str(path))} is nested too deeply to be read", do="is it a generated file?"
        ) from error
    return _check(Path(path), source, findings, sample, None if input is None else str(input))


def _read_script(path: Path) -> bytes:
    shown = printable(str(path))
    if path.suffix == ".ipynb":
        raise BadInput(f"{shown} is a notebook", do=f"jupyter nbconvert --to script {shown}, then check the .py file")
    try:
        size = path.stat().st_size
        if size > _LONGEST_SCRIPT:
            raise BadInput(
                f"{shown} has {format_size(size)}; a script of more than {format_size(_LONGEST_SCRIPT)} is not read",
                do="name the script, and its data with --input",
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{shown} cannot be read: {error.strerror}", do=f"ls -l {shown}") from error


def _no_python(path: Path, error: SyntaxError | ValueError) -> BadInput:
    where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    return BadInput(
        f"{printable(str(path))}{where} is not Python 3: {what}", do=f"python -m py_compile {printable(str(path))}"
    )


def _sample(path: str) -> CorpusSample:
    from oomguard.estimation.sampling import sample_corpus
    from oomguard.preparation.encoding.encodings import find_encoding
    from oomguard.preparation.reading.sources import find_sources

    return sample_corpus(find_sources([path], folder=Path(), exclude=None), spec=find_encoding("gpt2"))


def _check(path: Path, source: bytes, findings: Analysis, sample: CorpusSample | None, name: str | None) -> ScriptCheck:
    room = read_headroom()
    text = None if sample is None else sample.text_bytes.value
    fixed = _INTERPRETER + int(findings.peak_fixed)
    needed = None if text is None else int(findings.peak * text) + fixed
    largest = int(max(0, room.available - fixed) / findings.peak) if findings.peak > 0 else None
    lines = source.decode(errors="replace").splitlines()
    return ScriptCheck(
        script=str(path),
        input=None if sample is None or name is None else _input(name, sample, sample.shape),
        findings=tuple(_finding(finding, lines, text) for finding in findings.findings),
        peak_per_byte=round(findings.peak, 3),
        peak_line=findings.peak_line,
        fixed_bytes=fixed,
        needed_bytes=needed,
        available_bytes=room.available,
        limited_by=room.limited_by,
        fits=None if needed is None else needed <= room.available,
        short_bytes=0 if needed is None else max(0, needed - room.available),
        largest_input_bytes=largest,
    )


def _input(name: str, sample: CorpusSample, shape: TextShape) -> CheckedInput:
    return CheckedInput(
        path=name,
        disk_bytes=sample.disk_bytes,
        text_bytes=sample.text_bytes.value,
        bytes_per_token=round(sample.bytes_per_token, 3),
        widest_character=sample.widest_character,
        character_bytes=shape.widest,
    )


def _finding(finding: LineFinding, lines: list[str], text: int | None) -> Finding:
    advice = ADVICE[finding.rule]
    code = lines[finding.line - 1].strip() if 0 < finding.line <= len(lines) else ""
    return Finding(
        line=finding.line,
        code=printable(code[:_LONGEST_CODE]),
        rule=finding.rule,
        why=advice.why,
        do=advice.do,
        held_per_byte=round(finding.held, 3),
        peak_per_byte=round(finding.peak, 3),
        disk_per_byte=finding.disk,
        fixed_bytes=int(finding.fixed),
        held_bytes=None if text is None else int(finding.held * text + finding.fixed),
        peak_bytes=None if text is None else int(finding.peak * text + finding.fixed),
        each_file=finding.each,
    )


__all__ = ["check_script"]
