"""Whether what a manifest says is done can be true of this job. Its checksums say only that it is as it was written."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

from oomguard.errors import Changed
from oomguard.preparation.model import ShardSet
from oomguard.preparation.writing.manifest_lines import are_beside_files, is_count, is_sha256
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from oomguard.preparation.job import Job
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.manifest import Progress

_TOTALS = {field.name for field in fields(Totals)}
_CHECKPOINT = {"totals", "position", "open", "errors"}
_PLACE = {"section", "bucket", "document", "token"}  # of a shuffled document
_NEWER = {"files", "next_lines", "bad_files", "shuffle"}  # which earlier versions did not write
_RESULT_TYPES: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "int | None": (int, type(None)),
}


def require_sense(job: Job, progress: Progress) -> None:
    """Checkpoint, shards and result agree with each other and with the job.

    Raises: Changed.
    """
    if len(progress.files) < len(progress.shards) + len(progress.provenance):
        _refuse("a shard is listed twice")
    point = progress.checkpoint
    if point is None:
        if progress.shards or progress.provenance or progress.result is not None:
            _refuse("there is no checkpoint")
        return
    if not point.keys() >= _CHECKPOINT or point["errors"] not in ("strict", "replace", "skip"):
        _refuse("a checkpoint is incomplete")
    _check_totals(point["totals"])
    _check_open(job, progress, point["open"])
    _check_position(job, progress, point["position"], point["totals"])
    if job.options.provenance:
        _check_provenance(progress, point.get("provenance"))
    if progress.result is not None:
        _check_result(job, progress, progress.result)


def _check_totals(totals: Any) -> None:
    if not isinstance(totals, dict) or totals.keys() != _TOTALS or not all(map(is_count, totals.values())):
        _refuse("the totals are not numbers")


def _check_open(job: Job, progress: Progress, opened: Any) -> None:
    """Each split has as many shards as its number says, and all tokens are in one."""
    splits = {"train", "val"} if job.by_document else {"train"}
    if not isinstance(opened, dict) or opened.keys() != splits:
        _refuse("the open shards are not those of this job")
    output, layout = job.resolved.output, job.resolved.layout
    most, with_documents = layout.shard_tokens, output.writes_documents(layout)
    tokens = sum(shard["tokens"] for shard in progress.shards)
    for split, at in opened.items():
        if not isinstance(at, dict) or not is_count(at.get("index")) or not is_count(at.get("tokens")):
            _refuse("the place of an open shard is missing")
        held = _check_held(at, most if layout.fold_last else None, with_documents=with_documents)
        if (at["tokens"] and not is_sha256(at.get("sha256"))) or (most is not None and at["tokens"] >= most):
            _refuse("an open shard is not valid")
        known = [at.get("documents", 0), at.get("ends_crc32", 0)]
        if not all(map(is_count, known)) or (at["tokens"] and with_documents != ("documents" in at)):
            _refuse("the documents of an open shard are not known")
        shards = [shard for shard in progress.shards if len(splits) == 1 or shard["split"] == split]
        first = output.first_index(split, by_document=len(splits) > 1)
        if at["index"] != first + len(shards) + (held is not None):
            _refuse("a shard is missing")
        tokens += at["tokens"] + (held or 0)
    assert progress.checkpoint is not None
    if tokens != progress.checkpoint["totals"]["tokens"]:
        _refuse("the shards hold a different number of tokens")


def _check_provenance(progress: Progress, at: Any) -> None:
    """Its files are as many as its number says, and its positions are numbers."""
    if not isinstance(at, dict) or at.get("file") != len(progress.provenance):
        _refuse("a file with provenance is missing")
    lists = [(at.get("next"), 2), (at.get("open"), 2)]
    if "rows" in at:
        lists += [(at["rows"], 2), (at.get("names"), 3)]
    if not isinstance(at.get("name", ""), str) or not all(_are_numbers(found, count) for found, count in lists):
        _refuse("the place in its provenance is not valid")


def _are_numbers(found: Any, count: int) -> bool:
    """Of a document that is open, -1 says that nothing is known of its begin."""
    return isinstance(found, list) and len(found) == count and all(is_count(one) or one == -1 for one in found)


def _check_held(at: dict[str, Any], full: int | None, *, with_documents: bool) -> int | None:
    """Give the tokens of a full shard that has no name yet; None: there is none."""
    held = at.get("held")
    if held is None:
        return None
    if full is None or not isinstance(held, dict) or not is_sha256(held.get("sha256")):
        _refuse("a full shard has no name")
    if not is_count(held.get("tokens")) or held["tokens"] < full or held.get("index") != at["index"] - 1:
        _refuse("a full shard is not full")
    if with_documents and not (is_count(held.get("documents")) and is_count(held.get("ends_crc32"))):
        _refuse("the documents of a full shard are not known")
    return int(held["tokens"])


def _check_position(job: Job, progress: Progress, position: Any, totals: dict[str, Any]) -> None:
    if position == {} and not any(totals.values()):
        return  # stopped before the first piece
    if job.options.shuffle is not None:
        if not isinstance(position, dict) or position.keys() != _PLACE or not all(map(is_count, position.values())):
            _refuse("its position is not valid")
        return
    index: Any = position.get("source") if isinstance(position, dict) else None
    if not is_count(index) or index > len(job.sources):
        _refuse("its position is in no input")
    before, rest = job.sources[:index], {key: value for key, value in position.items() if key not in ("source", "kept")}
    kept = position.get("kept", [0, 0])
    if not isinstance(kept, list) or len(kept) != 2 or not all(map(is_count, kept)):
        _refuse("its position is not valid")
    if index == len(job.sources):
        if rest:
            _refuse("its position is past the end of the input")
        offset = 0
    else:
        offset = _offset(job.sources[index], rest)
    if all(source.seekable_text for source in job.sources[: index + 1]) and not progress.bad_files:
        done = sum(source.size or 0 for source in before) + offset
        if done != totals["input_bytes"]:
            _refuse("its position does not match its number of bytes")


def _offset(source: Source, rest: dict[str, Any]) -> int:
    """Give how far reading is in a source, as far as that is known."""
    if rest.get("resume") is None and rest.keys() <= {"resume"}:
        return 0
    if source.seekable_text:
        offset: Any = rest.get("offset")
        if rest.keys() != {"offset"} or not is_count(offset) or offset > (source.size or 0):
            _refuse("its position is past the end of the file")
        return int(offset)
    resume = rest.get("resume")
    if rest.keys() != {"resume"} or not isinstance(resume, dict):
        _refuse("its position is not valid")
    if not all(is_count(value) or isinstance(value, bool) for value in resume.values()):
        _refuse("its position is not valid")
    return 0


def _check_result(job: Job, progress: Progress, result: dict[str, Any]) -> None:
    types = {field.name: str(field.type) for field in fields(ShardSet)}
    is_whole = types.keys() - _NEWER <= result.keys() - {"schema"} <= types.keys()
    if not is_whole or result.get("shards") != progress.shards or not are_beside_files(result.get("files", [])):
        _refuse("its result is not that of this job")
    for name, kind in types.items():
        value = result.get(name, None if kind == "int | None" else [])
        expected = _RESULT_TYPES.get(kind, list)
        if not isinstance(value, expected) or (isinstance(value, bool) and kind != "bool"):
            _refuse(f"{name} of its result is not valid")
        if kind == "tuple[str, ...]" and not all(isinstance(note, str) for note in value):
            _refuse(f"{name} of its result are not notes")
    if result["tokens"] != sum(shard["tokens"] for shard in progress.shards):
        _refuse("its result has a different number of tokens")
    if (result["format"], result["encoding"]) != (job.options.format, job.options.encoding):
        _refuse("its result is of another format")


def _refuse(why: str) -> NoReturn:
    raise Changed(
        f"the manifest of the run that was begun here makes no sense: {why}",
        do="--restart to make the shards again, or another --out FOLDER",
    )
