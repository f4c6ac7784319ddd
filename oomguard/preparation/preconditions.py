"""What must hold before a run writes its first byte."""

from __future__ import annotations

import glob
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Changed, NothingFound
from oomguard.preparation.encoding.unicode_probe import tiktoken_unicode
from oomguard.preparation.reading.source import REMOTE, STDIN
from oomguard.preparation.remote.finding import refuse_secrets
from oomguard.preparation.writing.shard_check import not_ours
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from oomguard.preparation.job import Job
    from oomguard.preparation.options import PrepareOptions
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.formats.base import Layout, OutputFormat
    from oomguard.preparation.writing.manifest import Progress

_COPIES = {
    "s3": 'aws s3 cp FOLDER ADDRESS --recursive --exclude ".oomguard/*"',
    "gs": "gcloud storage cp FOLDER/* ADDRESS",
    "hf": "hf upload --repo-type dataset OWNER/NAME FOLDER",
}


def require_folder(out: Path) -> None:
    """The output is a folder, or can become one.

    Raises: BadInput if it is something else.
    """
    scheme = str(out).partition(":/")[0]
    if f"{scheme}://" in REMOTE and str(out) != scheme:
        address = str(out).replace(":/", "://", 1)
        refuse_secrets(address)
        shown = printable(address)
        copy = _COPIES.get(scheme, "each shard is one file").replace("ADDRESS", shell_word(shown))
        if scheme == "s3":
            raise BadInput(
                f"--out {shown}: a run writes to a file system; only a planned job writes its shards to a bucket",
                do="the same command with --job-only, then oomguard prepare --job job.json; or --out FOLDER, then "
                + copy,
            )
        raise BadInput(
            f"--out {shown}: shards are written to a file system, and not to a server",
            do=f"--out FOLDER, and copy it when it is done: {copy}",
        )
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {printable(str(out))} is not a directory", do="--out FOLDER")


def require_known_length(job: Job) -> None:
    """A validation split of an undivided text is its end, and that of a stream is not known before it comes.

    Raises: BadInput if a fraction was asked for all the same.
    """
    if not job.by_document or not job.resolved.val_asked or job.resolved.separator:
        return
    for source in job.sources:
        if source.kind == "text" and not source.divisible_text:
            last = f"its last {job.resolved.val_fraction}"
            raise BadInput(
                f"{printable(source.path)}: where {last} begins is not known before it is read",
                do="--val-fraction 0, or --separator TEXT if it holds documents, or unpack it first",
            )


def identity(job: Job) -> dict[str, Any]:
    """All that the bytes of the shards depend on."""
    resolved, options = job.resolved, job.options
    return {
        "input": [
            {
                "path": full_path(s),
                "bytes": s.size,
                "kind": s.kind,
                "packed": s.compression,
                "changed": s.mtime_ns,
                "inode": s.inode,
                "ctime": s.ctime_ns,
                **({"field": s.text_field} if s.text_field != resolved.text_field else {}),
                **({"encoding": s.encoding} if s.encoding else {}),
                **({"pin": s.pin} if s.is_remote else {}),
            }
            for s in job.sources
        ],
        "format": options.format,
        "encoding": resolved.spec.identity(),
        "unicode": tiktoken_unicode(),
        "shard_tokens": resolved.shard_tokens,
        "val_fraction": resolved.val_fraction,
        "name": resolved.layout.name,
        "eot": resolved.eot,
        "separator": options.separator,
        "text_field": resolved.text_field,
        "newlines": options.newlines,
        **({"text_ends": job.ends_are_val} if job.by_document and not resolved.separator else {}),
        **({"block_size": resolved.layout.block_size} if resolved.output.takes_blocks else {}),
        **({"last_shard": options.last_shard} if resolved.layout.fold_last else {}),
        **({"provenance": True} if options.provenance else {}),
        **({"shuffle": options.shuffle} if options.shuffle is not None else {}),
    }


def full_path(source: Source) -> str:
    """A source as the manifest names it."""
    return source.path if source.path == "-" or source.is_remote else str(Path(source.path).resolve())


def require_same_errors_policy(progress: Progress, options: PrepareOptions) -> None:
    """Another policy may continue only where the first one has not changed a byte yet.

    Raises: Changed.
    """
    if progress.checkpoint is None:
        return
    before, totals = progress.checkpoint["errors"], progress.checkpoint["totals"]
    if before != options.errors and (totals["repaired_bytes"] or totals["left_out"]):
        raise Changed(
            f"the shards here were begun with --errors {before}, and now it is {options.errors}",
            do=f"--errors {before} to resume, --restart to start over, or another --out FOLDER",
        )


def require_comparable(sources: Sequence[Source]) -> None:
    """A finished run is shown again only if it is known to be the same one: standard input is gone.

    Raises: Changed.
    """
    if any(source.path == STDIN for source in sources):
        raise Changed(
            "the shards here were made from an earlier standard input; whether this one is the same cannot be known",
            do="--restart to make them again, or another --out FOLDER",
        )


def require_result(progress: Progress) -> dict[str, Any]:
    """Give the result at the end of a finished run's manifest. Raises: Changed if it has none."""
    if progress.result is None:
        raise Changed(
            "the manifest of the finished shards has no result", do="make them again, in another --out FOLDER"
        )
    return progress.result


def require_some_text(tokens: int) -> None:
    """A wrong glob or field is noticed, where an empty training set would only fail later.

    Raises: NothingFound if nothing was read.
    """
    if not tokens:
        raise NothingFound(
            "the input holds no text: no shard was written",
            do="check the files, and --text-field for jsonl and parquet",
        )


def divides_nothing(job: Job, documents: int) -> list[str]:
    """The note for a --separator that left each text whole: known of plain files, and of a single input."""
    sources, options = job.sources, job.options
    known = all(source.seekable_text for source in sources) or (len(sources) == 1 and sources[0].kind == "text")
    if not job.resolved.separator or not known or documents != sum(source.size != 0 for source in sources):
        return []
    more = ""
    if b"\n" in job.resolved.separator and options.newlines == "bytes":
        more = "; if lines end with CR LF, it is found with --newlines universal"
    return [f'--separator "{printable(options.separator)}" divides nothing: each text is one document{more}']


def require_free_names(
    out: Any, output: OutputFormat, layout: Layout, *, ours: AbstractSet[str], provenance: bool = False
) -> None:
    """Shards never overwrite what something else made, nor stand among its files; `ours` may be taken.

    `out` is a Path, or what has its `glob`.
    Raises: BadInput with the first name that is taken.
    """
    found: Iterable[Path]
    if output.folders:  # of which loaders take all that is in them
        found = [path for split in ("train", "val") for path in out.glob(f"{split}/*")]
    elif output.default_name:
        name, suffix = glob.escape(layout.name), PurePath(output.file_name(layout, "train", 0)).suffix
        found = [path for split in ("train", "val") for path in out.glob(f"{name}_{split}*{suffix}")]
    else:
        found = [path for path in out.glob("*") if output.owned.fullmatch(path.name)]
    if provenance:
        found = [*found, *out.glob("provenance-*.parquet")]
    foreign = min((path for path in found if path.relative_to(out).as_posix() not in ours), default=None)
    if foreign is not None:
        raise not_ours(foreign)
