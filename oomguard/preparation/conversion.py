"""`oomguard convert`: shards of one format into another, without tokenizing again.

Tokens and document ends are read in stretches and written by the writer of `prepare`, with its manifest: so a
conversion that was stopped resumes, and what it makes is what `prepare` would have made of the same tokens.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import BadInput, Changed, edge
from oomguard.preparation.conversion_sink import open_sink
from oomguard.preparation.stored_set import ConversionSource, extras_of, open_set
from oomguard.preparation.writing.formats.layout_options import find_format, new_layout
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from oomguard.preparation.stored_set import StoredSet
    from oomguard.preparation.writing.formats.base import Layout, OutputFormat


_CHECKPOINT_SECONDS = 10.0
Ends = Literal["stored", "after", "before", "checked", "none", "not needed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """All options of `oomguard convert`; the defaults are the command's."""

    folder: Path
    format: str
    out: Path
    name: str | None = None
    shard_tokens: int | None = None
    block_size: int | None = None
    last_shard: str = "keep"
    encoding: str | None = None
    eot_token: int | None = None
    lossy: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was made."""

    folder: str
    source: str
    source_format: str
    format: str
    tokens: int
    documents: int | None  # None: not known
    token_bytes: int
    shards: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]
    next_lines: tuple[str, ...]
    already_done: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {"schema": "oomguard.conversion/1"} | {key: getattr(self, key) for key in self.__slots__}


@edge
def convert(options: ConvertOptions) -> Conversion:
    """Write the shards of a folder again in another format; a run that was stopped resumes from its last checkpoint.

    Raises: OomguardError, whose `do` says what to do next; BadInput if something would be lost and `lossy` is not set.
    """
    found = open_set(options.folder, encoding=options.encoding)
    if options.out.resolve() == options.folder.resolve():
        raise BadInput("the shards would be written among those that are read", do="another --out FOLDER")
    output = find_format(options.format)
    layout = _layout(found, output, options)
    eot = options.eot_token if options.eot_token is not None else (found.spec.eot if found.spec else None)
    decision = decide_ends(
        EndsFacts(
            stored=found.has_ends,
            eot_place=found.eot or ("after" if options.eot_token is not None else None),
            eot_known=eot is not None,
            eot_asked=options.eot_token is not None,
            target_documents=output.writes_documents(layout),
        )
    )
    lost = _losses(found, decision, options)
    source = ConversionSource(shards=found.shards, ends=decision.ends, eot=eot, output=output, layout=layout)
    with ExitStack() as stack:
        sink = open_sink(
            stack, options.out, output, layout, _identity(found, output, layout, options, decision),
            restart=options.restart, checkpoint_seconds=_CHECKPOINT_SECONDS,
        )  # fmt: skip
        if sink.result is None:
            sink.write(source)
            if _files(found) != _files(open_set(options.folder, encoding=options.encoding)):
                raise Changed(f"{printable(str(options.folder))} was changed while it was read", do="--restart")
            documents = sink.documents if source.ends_known else None
            sink.finish({"tokens": sink.tokens, "documents": documents})
        shards, files, result, done = sink.shards, sink.files, sink.result, sink.was_done
    finished = source.finished_set(options.out, shards, found.spec)
    assert result is not None
    return Conversion(
        folder=str(options.out.absolute()),
        source=str(options.folder.absolute()),
        source_format=found.output.name,
        format=output.name,
        tokens=result["tokens"],
        documents=result["documents"],
        token_bytes=layout.token_bytes,
        shards=tuple(shards),
        files=tuple(files),
        lost=lost,
        notes=tuple(output.notes(finished)),
        next_lines=tuple(output.next_lines(finished)),
        already_done=done,
    )


def _layout(found: StoredSet, output: OutputFormat, options: ConvertOptions) -> Layout:
    """As asked, else as the source has it, else as the format has it."""
    width = max(int(shard.dtype[-1]) for shard in found.shards)
    if found.spec is not None:
        width = output.token_bytes(found.spec.vocabulary_size)
    layout = new_layout(
        output,
        token_bytes=2 if width <= 2 else 4,
        name=options.name,
        shard_tokens=options.shard_tokens,
        block_size=options.block_size,
        tokenizer=found.spec.name if found.spec else "",
        last_shard=options.last_shard,
    )
    before = found.layout.shard_tokens if found.layout else None
    fits = before is not None and not before % (layout.block_size or 1)
    fits = fits and (before or 0) <= output.most_tokens(layout.token_bytes)
    if options.shard_tokens is None and not output.one_file and fits:
        return replace(layout, shard_tokens=before)
    return layout


def _losses(found: StoredSet, decision: EndsDecision, options: ConvertOptions) -> tuple[str, ...]:
    """Raises: BadInput if something would be lost, and that was not allowed."""
    lost = [decision.loss] if decision.loss else []
    lost += extras_of(found)
    if lost and not options.lossy:
        missing = f"{decision.missing}; or " if decision.missing else ""
        raise BadInput(f"--format {options.format} would lose: {'; '.join(lost)}", do=f"{missing}--lossy to do without")
    return tuple(lost)


def _identity(
    found: StoredSet, output: OutputFormat, layout: Layout, options: ConvertOptions, decision: EndsDecision
) -> dict[str, Any]:
    """All that the bytes of the new shards depend on; with the names that `prepare` has in its manifest."""
    return {
        "input": _files(found),
        "format": output.name,
        "encoding": found.spec.name if found.spec else None,
        "token_bytes": layout.token_bytes,
        "shard_tokens": layout.shard_tokens,
        "block_size": layout.block_size,
        "name": layout.name,
        "eot": found.eot or ("after" if options.eot_token is not None else None),
        "eot_token": options.eot_token,
        "ends": decision.ends,
        **({"last_shard": "fold"} if layout.fold_last else {}),
    }


def _files(found: StoredSet) -> list[dict[str, Any]]:
    status = [(shard.path, shard.path.stat()) for shard in found.shards]
    return [
        {"path": str(path.resolve()), "bytes": at.st_size, "mtime": at.st_mtime_ns, "kind": found.output.name}
        for path, at in status
    ]


# What a conversion would lose, and where documents end in shards that do not say it. Facts in, decision out.


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsFacts:
    """What is known of document ends."""

    stored: bool  # the files say them
    eot_place: str | None  # as the manifest has it: before, after, none; None: there is no manifest
    eot_known: bool  # the id of the end-of-text token
    eot_asked: bool  # the user named it
    target_documents: bool  # the target writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsDecision:
    """Where ends come from, and what is lost by it; `missing` is what the user could name instead."""

    ends: Ends
    loss: str = ""
    missing: str = ""


_ASK = "--eot-token ID, if each document ends with it"


def decide_ends(facts: EndsFacts) -> EndsDecision:
    """Document ends stay known: as ends, or as end-of-text tokens that stand for them, which no text can hold."""
    place = facts.eot_place if facts.eot_known and facts.eot_place != "none" else None
    if not facts.target_documents:
        return _decide_tokens_only(facts, place)
    if facts.stored:
        return EndsDecision(ends="stored")
    if place is not None:
        return EndsDecision(ends="before" if place == "before" else "after")
    loss = "where documents end, which these shards do not say: each split would be one document"
    return EndsDecision(ends="none", loss=loss, missing=_ASK)


def _decide_tokens_only(facts: EndsFacts, place: str | None) -> EndsDecision:
    if facts.stored and facts.eot_asked:
        return EndsDecision(ends="checked")
    if facts.stored and place is None:
        return EndsDecision(ends="not needed", loss="where documents end", missing=_ASK)
    return EndsDecision(ends="not needed")


# What `convert` shows.


_SHOWN = 6


def render(done: Conversion) -> RenderableType:
    """Build the screen for people."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    screen = Table.grid(padding=(0, 2))
    screen.add_column()
    screen.add_column(overflow="fold")
    documents = "documents not known" if done.documents is None else f"{done.documents:,} documents"
    lines = [
        ("already done" if done.already_done else "done", printable(done.folder)),
        ("from", f"{printable(done.source)}  {done.source_format}"),
        ("wrote", f"{done.tokens:,} tokens, {documents} ({done.format}, {8 * done.token_bytes} bits per token)"),
        *(("", f"{printable(shard['path'])}  {shard['tokens']:,} tokens") for shard in done.shards[:_SHOWN]),
    ]
    if len(done.shards) > _SHOWN:
        lines.append(("", f"and {len(done.shards) - _SHOWN} more"))
    lines += [("lost", what) for what in done.lost] + [("note", note) for note in done.notes]
    for label, value in lines:
        screen.add_row(label, Text(value))
    return Group(screen, *(Text(line) for line in ("", *done.next_lines)))
