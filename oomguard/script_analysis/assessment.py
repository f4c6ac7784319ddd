"""From what the analysis found to the verdict: pure, but for the lines that it looks up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.preparation.reading.text_shape import ENGLISH
from oomguard.script_analysis.model import CheckedInput, Finding, ScriptCheck, StartedWorkers, UnseenLine, Verdict
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.kernel.machine import Headroom
    from oomguard.script_analysis.analysis import Analysis, LineFinding
    from oomguard.script_analysis.input_sample import InputSample
    from oomguard.script_analysis.resources import FixedMemory
    from oomguard.script_analysis.source_files import SourceFiles


# For each finding: what it does to memory, and what to write instead.


@dataclass(frozen=True, slots=True)
class Advice:
    """Two sentences for people."""

    why: str
    do: str


ADVICE = {
    "whole-read": Advice(
        "reads the whole file at once; each character takes as much as the widest one in it (1, 2 or 4 bytes)",
        "for line in f: ..., or f.read(1 << 20) in a loop, and drop each chunk",
    ),
    "readlines": Advice("makes a string of every line before the first is used", "for line in f: ..."),
    "json-load": Advice(
        "reads the file whole as text and builds every object before the first is used",
        "one document per line (JSON Lines): for line in f: json.loads(line); an array: ijson.items(f, 'item')",
    ),
    "object-load": Advice(
        "builds every object of the file before the first is used",
        "a format that is read record by record: JSON Lines, Parquet batches, one pickle.dump() per record; "
        "ET.iterparse() with element.clear() for XML; np.load(..., mmap_mode='r') for arrays",
    ),
    "list-of-input": Advice(
        "makes an object of every line, word or document, and keeps them all",
        "go through the file or the generator itself, without the list",
    ),
    "dataframe": Advice(
        "holds the table whole, and twice while it is read",
        "pd.read_csv(..., chunksize=10_000), pq.ParquetFile(...).iter_batches(), pl.scan_parquet(...)",
    ),
    "load-dataset": Advice(
        "writes a second copy of the corpus to the cache on disk before it starts (its memory is page cache)",
        "load_dataset(..., streaming=True)",
    ),
    "token-list": Advice(
        "a Python list takes 8 bytes for each id, and 32 more for each id above 256: up to 40 per token; "
        "a file takes 2",
        "np.array(ids, dtype=np.uint16).tofile(out) for each chunk, then ids.clear()",
    ),
    "array-of-list": Advice(
        "the array is made while the list it is built from is still in memory",
        "write each chunk's array to the file: .tofile(out); or fill a np.memmap",
    ),
    "growing-list": Advice(
        "keeps what it makes of every piece of the input until the end",
        "write it out every few thousand items, then .clear()",
    ),
    "growing-table": Advice(
        "keeps an entry for every item, about 100 bytes each besides the key and the value",
        "keep a hash of 8 bytes in a sorted array or on disk (sqlite3), or split the input by hash and do one part "
        "after the other",
    ),
    "cache": Advice(
        "the cache has no limit: it keeps the arguments and the result of every call",
        "@lru_cache(maxsize=100_000)",
    ),
    "matrix": Advice(
        "holds a number for each word of each document", "HashingVectorizer and partial_fit, a batch at a time"
    ),
    "all-by-all": Advice(
        "a number for each pair of documents: it grows with the square of their count",
        "compare in blocks and keep only the near pairs: MinHash with LSH, sklearn's radius_neighbors, faiss",
    ),
    "trainer": Advice(
        "loads all sentences before it begins", "input_sentence_size=10_000_000, shuffle_input_sentence=True"
    ),
    "memory-file": Advice("a file in /dev/shm is memory, and counts as such", "write it to a folder on a disk"),
    "growing-text": Advice("a text that grows to the size of the input", "write each piece to a file instead"),
    "growing-array": Advice(
        "an array that grows with the input, and is copied whole each time it grows",
        "write each chunk's array to the file: .tofile(out); or fill a np.memmap",
    ),
    "join-all": Advice("puts all pieces together in a second copy", "out.write() each piece with its separator"),
    "copy": Advice("makes another copy of what is already held", "work on one piece at a time, or del the original"),
    "pool-map": Advice(
        "takes in the whole input before it starts, and keeps every result until the last is done",
        "pool.imap(f, items, chunksize=64), and write each result as it comes",
    ),
    "concat-tables": Advice(
        "the parts and the whole table are in memory at the same time",
        "write each part as it comes: pq.ParquetWriter(...).write_table(part), or part.to_csv(out, mode='a')",
    ),
    "column-tolist": Advice(
        "makes a Python object of every row of the table",
        "go through it in pieces: pq.ParquetFile(...).iter_batches(), pd.read_csv(..., chunksize=10_000)",
    ),
    "concatenate": Advice(
        "the parts and the whole are in memory at the same time", "write each part to the file: .tofile(out)"
    ),
    "tolist": Advice(
        "turns an array of 2-byte ids into Python ints of 40 bytes each",
        "array.tofile(file) or file.write(array.tobytes()), without a list",
    ),
}


_LONGEST_CODE = 200  # characters of a line that are kept
_MOST_OUTSIDERS = 5
_GROWS = 0.5  # bytes for each byte of the input, of things that are too small to be findings


def assess(
    script: str,
    files: SourceFiles,
    analysis: Analysis,
    fixed: FixedMemory,
    room: Headroom,
    sample: InputSample | None,
    name: str | None,
) -> ScriptCheck:
    """Put the answer together."""
    processes = fixed.processes
    whatever = fixed.counted * (processes or 1) + int(analysis.peak_fixed)
    findings = tuple(_finding(found, files, sample) for found in analysis.findings)
    needed = None if sample is None else whatever + _needed(analysis, findings, sample, processes or 1)
    unseen = tuple(_unseen_lines(analysis, files, findings, named=sample is not None))
    verdict = _verdict(analysis, findings, unseen, needed or whatever, room.available, named=sample is not None)
    peak = files.locate(analysis.peak_line or analysis.peak_each_line)
    return ScriptCheck(
        script=script,
        verdict=verdict,
        input=None if sample is None or name is None else _input(name, sample),
        findings=findings,
        unseen=unseen,
        assumptions=tuple(_line(line, why, files) for line, why in _assumptions(analysis, named=sample is not None)),
        peak_per_byte=round(analysis.peak, 3),
        peak_line=peak.line,
        peak_file=peak.file,
        peak_per_byte_of_each_file=round(analysis.peak_each, 3),
        fixed_bytes=whatever,
        imports_counted=fixed.imports,
        imports_not_counted=fixed.uncounted_imports,
        workers=tuple(_workers(fixed, files)),
        processes=processes,
        needed_bytes=needed,
        available_bytes=room.available,
        limited_by=room.limited_by,
        fits=_fits(verdict, findings, named=sample is not None),
        short_bytes=0 if needed is None else max(0, needed - room.available),
        largest_input_bytes=_largest_input(analysis, findings, sample, room.available - whatever, processes or 1),
    )


def _needed(analysis: Analysis, findings: tuple[Finding, ...], sample: InputSample, processes: int) -> int:
    """Give the bytes for this input, besides those that any input needs."""
    largest = analysis.peak_each * sample.text_bytes * sample.largest_file_fraction * processes
    squared = sum(finding.bytes_per_pair for finding in findings if finding.called) * sample.documents**2
    return int(analysis.peak * sample.text_bytes + largest + squared)


def _largest_input(
    analysis: Analysis, findings: tuple[Finding, ...], sample: InputSample | None, room: int, processes: int
) -> int | None:
    """Give the bytes of text that fit, by what grows with them and with their square; None: nothing does."""
    linear = max(analysis.peak, analysis.peak_each * processes)
    density = ENGLISH.documents if sample is None else sample.documents / max(1, sample.text_bytes)
    squared = sum(finding.bytes_per_pair for finding in findings if finding.called) * density**2
    if squared > 0:
        return int((math.sqrt(linear**2 + 4 * squared * max(0, room)) - linear) / (2 * squared))
    return int(max(0, room) / linear) if linear > 0 else None


def _verdict(
    analysis: Analysis,
    findings: tuple[Finding, ...],
    unseen: tuple[UnseenLine, ...],
    needed: int,
    available: int,
    *,
    named: bool,
) -> Verdict:
    grows = analysis.peak >= _GROWS or any(finding.holds_memory for finding in findings)
    if needed > available or (grows and not named):
        return "does not fit"
    return "cannot say" if unseen else "fits"


def _fits(verdict: Verdict, findings: tuple[Finding, ...], *, named: bool) -> bool | None:
    if verdict == "cannot say":
        return None
    depends = not named and any(finding.holds_memory for finding in findings)
    return None if depends else verdict == "fits"


def _assumptions(analysis: Analysis, *, named: bool) -> list[tuple[int, str]]:
    """With an input named, what fetches a missing file does not run."""
    fetched = [(line, "not counted: it runs only if a file is missing") for line, _ in analysis.fetched]
    return sorted([*analysis.assumptions, *(fetched if named else ())])


def _unseen_lines(
    analysis: Analysis, files: SourceFiles, findings: tuple[Finding, ...], *, named: bool
) -> Iterable[UnseenLine]:
    for line, why in [*analysis.unseen, *(analysis.fetched if not named else ())]:
        yield _line(line, why, files)
    for name in files.unreadable:
        yield UnseenLine(
            line=0, code="", why="was not read: it is too long, or not Python 3", file=name, function="", cell=None
        )
    if analysis.unseen or analysis.readers or any(finding.holds_memory for finding in findings):
        return
    if not analysis.runs:
        functions = files.functions[:_MOST_OUTSIDERS]
        for line in functions:
            yield _line(line, "nothing here calls it, and what its callers give is not known", files)
        return
    for finding in [one for one in findings if not one.called][:_MOST_OUTSIDERS]:
        yield UnseenLine(
            line=finding.line, code=finding.code, file=finding.file, function=finding.function, cell=finding.cell,
            why=f"only {finding.function}() reads the input here, and nothing here calls it",
        )  # fmt: skip
    for line, name in analysis.outsiders[:_MOST_OUTSIDERS]:
        yield _line(line, f"no line here reads the input; {name}() may, and what it holds is not known", files)


def _line(line: int, why: str, files: SourceFiles) -> UnseenLine:
    place = files.locate(line)
    return UnseenLine(
        line=place.line, code=printable(place.code[:_LONGEST_CODE]), why=why, file=place.file,
        function=place.function, cell=place.cell,
    )  # fmt: skip


def _workers(fixed: FixedMemory, files: SourceFiles) -> Iterable[StartedWorkers]:
    for worker in fixed.workers:
        place = files.locate(worker.line)
        yield StartedWorkers(line=place.line, file=place.file, code=printable(worker.text), count=worker.count)


def _input(name: str, sample: InputSample) -> CheckedInput:
    return CheckedInput(
        path=name,
        disk_bytes=sample.disk_bytes,
        text_bytes=sample.text_bytes,
        bytes_per_token=round(sample.bytes_per_token, 3),
        widest_character=sample.widest_character,
        character_bytes=sample.shape.widest,
        files=sample.files,
        largest_file_bytes=int(sample.text_bytes * sample.largest_file_fraction),
        documents=sample.documents,
    )


def _finding(found: LineFinding, files: SourceFiles, sample: InputSample | None) -> Finding:
    advice, place = ADVICE[found.rule], files.locate(found.line)
    text = None
    if sample is not None:
        text = sample.text_bytes * (sample.largest_file_fraction if found.each else 1.0)
    return Finding(
        line=place.line,
        code=printable(place.code[:_LONGEST_CODE]),
        rule=found.rule,
        why=advice.why,
        do=advice.do,
        held_per_byte=round(found.held, 3),
        peak_per_byte=round(found.peak, 3),
        disk_per_byte=found.disk,
        fixed_bytes=int(found.fixed),
        held_bytes=None if text is None else int(found.held * text + found.fixed),
        peak_bytes=None if text is None else int(found.peak * text + found.fixed),
        each_file=found.each,
        file=place.file,
        function=place.function,
        cell=place.cell,
        called=found.reached,
        bytes_per_pair=found.squared,
    )
