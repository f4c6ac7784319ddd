"""What must hold before a run writes its first byte."""

from __future__ import annotations

import glob
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.reading.source import REMOTE
from oomguard.preparation.remote.stores import refuse_secrets
from oomguard.preparation.writing.shard_check import not_ours
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.formats.base import Layout, OutputFormat


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
