"""`oomguard plan`: how to do a preparation job here, measured on the input itself."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BudgetTooSmall, edge
from oomguard.estimation.baselines import naive_ways
from oomguard.estimation.cluster_plan import ClusterAsked, plan_cluster
from oomguard.estimation.elsewhere import server_needs
from oomguard.estimation.model import JobPlan
from oomguard.estimation.run_forecast import CannotTry, RunForecast, choose_parts, forecast_run
from oomguard.estimation.trials import Trial, try_job
from oomguard.kernel.machine import read_headroom
from oomguard.kernel.process.commands import own_command
from oomguard.preparation.api import plan_prepare
from oomguard.preparation.engines.work import CutRules, PlainFeed
from oomguard.preparation.options import PrepareOptions, resolve_options
from oomguard.preparation.reading.corpus_sample import Estimate, sample_corpus
from oomguard.preparation.reading.sources import find_inputs
from oomguard.preparation.writing.buckets import KEY_BYTES
from oomguard.preparation.writing.formats.words import expect_no_train_shard
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.model import PreparePlan
    from oomguard.preparation.options import ResolvedOptions
    from oomguard.preparation.reading.corpus_sample import CorpusSample
    from oomguard.preparation.reading.source import Source

_SURELY = 1.05  # of the size of a line, as windows into it tell it
_MARGIN = 1 << 20  # of disk: the manifest, headers
_FAST = 1e9  # bytes a second, where encoding took no time that could be told
_UNTRIED = "--no-calibration"


@edge
def plan(
    options: PrepareOptions,
    *,
    max_rss: int | None = None,
    calibrate: bool = True,
    cluster: ClusterAsked | None = None,
) -> JobPlan:
    """Say how to prepare `options.inputs` here: tokens, disk, workers, peak, time, and what other ways would need.

    It reads a sample, and (`calibrate`) does the job on a small input, or on parts of a larger one, in a temporary
    folder beside the output. With `cluster`, budget, workers and forecast are those of one task.
    Raises: OomguardError as `prepare` would; BudgetTooSmall names the least budget.
    """
    if cluster is not None:
        options = replace(options, workers=options.workers or 1)
    prepared = plan_prepare(options, max_rss=max_rss)
    resolved = resolve_options(options)
    sources = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=resolved.wanted).sources
    corpus = sample_corpus(sources, spec=resolved.spec, separator=resolved.separator, strict=True)
    _check_longest(corpus, sources, prepared)
    tokens = _with_ends(corpus, sources, options, resolved)
    needed = _disk_needed(tokens, corpus, resolved, options)
    began = time.monotonic()
    trial, untried = None, _UNTRIED
    if needed > prepared.free_disk_bytes:
        untried = "the disk is too small for it"
    elif any(source.is_remote for source in sources):
        untried = "its input is on a server"
    elif calibrate:
        trial, untried = _try(sources, corpus, prepared, options, max_rss)
    forecast = None
    if trial is not None:
        forecast = forecast_run(
            trial.parts,
            text_bytes=corpus.text_bytes.value,
            is_whole=trial.is_whole,
            longest_document=corpus.longest_document,
            budget=prepared.budget,
            rows_differ=any(source.kind == "parquet" for source in sources),
            encoded_a_second=_rate(corpus, prepared),
            beginnings_only=corpus.from_start and any(source.kind == "jsonl" for source in sources),
        )
        if trial.is_whole:
            counted = trial.parts[0][0].tokens
            tokens = Estimate(value=counted, low=counted, high=counted)
            needed = _disk_needed(tokens, corpus, resolved, options)
    room = read_headroom()
    on_cluster = None
    if cluster is not None:
        on_cluster = plan_cluster(
            cluster, sources, text_bytes=corpus.text_bytes.value, tokens=tokens.high,
            documents=corpus.tokens_with_ends.high - corpus.tokens.high, token_bytes=resolved.spec.token_bytes,
            shard_bytes=needed, workers=options.workers or 1, budget=prepared.budget, forecast=forecast,
            encoded_a_second=1 / corpus.seconds_to_encode if corpus.seconds_to_encode else None,
        )  # fmt: skip
        needed += on_cluster.parts
    return JobPlan(
        prepare=prepared,
        corpus=corpus,
        tokens=tokens,
        disk_needed=needed,
        forecast=forecast,
        tried=() if trial is None else tuple(run for part in trial.parts for run in part),
        untried_because=untried if trial is None else "",
        calibration_seconds=round(time.monotonic() - began, 2),
        naive=tuple(naive_ways(corpus.shape, text_bytes=corpus.text_bytes.value, available=room.available)),
        available=room.available,
        available_limited_by=room.limited_by,
        command=_command(options, max_rss, options.inputs, options.out)
        if cluster is None
        else _command(
            options, None, options.inputs, options.out, "--cluster", cluster.engine, "--max-rss",
            f"{prepared.budget >> 20}M",
        ),
        notes=(
            *_known_notes(prepared),
            *_expected(resolved, tokens),
            *(_exactly(tokens, forecast) if on_cluster is None else on_cluster.notes()),
        ),
        servers=server_needs(sources, text_bytes=corpus.text_bytes.value, in_units=cluster is not None),
        cluster=on_cluster,
    )  # fmt: skip


def _check_longest(corpus: CorpusSample, sources: Sequence[Source], prepared: PreparePlan) -> None:
    """A line or row that `prepare` would refuse when it comes to it. Raises: BudgetTooSmall."""
    longest, fits = corpus.longest_document, prepared.largest_document
    kinds = {source.kind for source in sources}
    if kinds - {"jsonl", "parquet"} or longest <= _SURELY * fits:
        return
    what = "line" if "jsonl" in kinds else "row"
    enough = prepared.budget * longest // max(1, fits)  # what is left for a line grows faster than the budget
    raise BudgetTooSmall(
        f"prepare would fail: a {what} of about {format_size(longest)} is in the input, and the longest that fits here "
        f"is {format_size(fits)}",
        do=f"--max-rss {-(-enough // MIB)}M, or take that {what} out",
    )


def _with_ends(
    corpus: CorpusSample, sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions
) -> Estimate:
    """The tokens with those between documents; a text whose end is for validation is two."""
    if resolved.eot == "none":
        return corpus.tokens
    found, more = corpus.tokens_with_ends, _divided_texts(sources, options, resolved)
    return Estimate(value=found.value + more, low=found.low + more, high=found.high + more)


def _disk_needed(tokens: Estimate, corpus: CorpusSample, resolved: ResolvedOptions, options: PrepareOptions) -> int:
    """At most, by the band of the tokens; a shuffle has them in buckets first, with a key for each document."""
    needed = tokens.high * resolved.layout.token_bytes + _MARGIN
    if options.shuffle is not None:
        documents = corpus.tokens_with_ends.high - corpus.tokens.high
        needed += tokens.high * resolved.spec.token_bytes + documents * KEY_BYTES
    return needed


def _divided_texts(sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions) -> int:
    """How many texts have an end that is for validation, as `prepare` cuts them."""
    fraction = Fraction(resolved.val_fraction or 0)
    texts = sum(source.seekable_text for source in sources)
    if not fraction or resolved.separator or texts * fraction >= 1:
        return 0
    rules = CutRules(
        family=resolved.spec.family, separator=b"", universal_newlines=options.newlines == "universal",
        piece_bytes=MIB, longest_word=MIB, flag_with_room=str,
    )  # fmt: skip
    divided = 0
    for source in filter(lambda one: one.seekable_text, sources):
        feed = PlainFeed(index=0, source=source, rules=rules, offset=0)
        feed.set_val_fraction(fraction)
        divided += feed.val_from is not None and feed.val_from < feed.size
        feed.close()
    return divided


def _known_notes(prepared: PreparePlan) -> list[str]:
    """What `prepare` says when it begins, but for what it guesses of the tokens: here they are known better."""
    return [note for note in prepared.notes if "nothing would be left to train on" not in note]


def _expected(resolved: ResolvedOptions, tokens: Estimate) -> list[str]:
    first_is_val = resolved.val_fraction is None
    return expect_no_train_shard(resolved.layout, first_is_val=first_is_val, tokens=float(tokens.value))


def _exactly(tokens: Estimate, forecast: RunForecast | None) -> list[str]:
    """Where counting is quicker than reading about it."""
    if tokens.low == tokens.high or forecast is None:
        return []
    return [f"the tokens are estimated; prepare counts them, in about {forecast.seconds:.1f} s"]


def _rate(corpus: CorpusSample, prepared: PreparePlan) -> float:
    """Bytes of text a second that all workers encode, were there nothing else to do."""
    return prepared.workers / corpus.seconds_to_encode if corpus.seconds_to_encode else _FAST


def _try(
    sources: Sequence[Source], corpus: CorpusSample, prepared: PreparePlan, options: PrepareOptions, max_rss: int | None
) -> tuple[Trial | None, str]:
    """Do the job on some of the input; where that cannot be, say why."""
    text = corpus.text_bytes.value
    sizes = choose_parts(text, bytes_per_second=_rate(corpus, prepared))

    def command(inputs: Sequence[str], out: Path) -> Sequence[str]:
        input_format = options.input_format if len(sizes) == 1 else "auto"  # parts have names that say what they are
        val = None if len(sizes) == 1 else "0"
        _, *words = _command(options, max_rss, inputs, out, "--json", "--quiet", val=val, input_format=input_format)
        return own_command("oomguard.cli.app", *words)

    try:
        return try_job(sources, sizes, text_bytes=text, out=options.out, command=command), ""
    except CannotTry as why:
        return None, str(why)


def _command(
    options: PrepareOptions, max_rss: int | None, inputs: Sequence[str], out: Path, *more: str,
    val: str | None = None, input_format: str | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """The command line of `prepare` with these options: only those that are not the defaults."""
    default = PrepareOptions()
    flags: list[str] = ["--out", str(out)]
    names = (
        "subset", "format", "encoding", "tokenizer", "pattern", "eot_token", "workers", "shard_tokens", "block_size",
        "val_fraction", "name", "separator", "text_field", "input_format", "input_encoding", "eot", "errors",
        "bad_files", "newlines", "verify", "shuffle",
    )  # fmt: skip
    instead = {"val_fraction": val, "input_format": input_format}
    for name in names:
        value = instead.get(name) or getattr(options, name)
        if value != getattr(default, name):
            for one in value if isinstance(value, tuple) else (value,):
                flags += [f"--{name.replace('_', '-')}", str(one)]
    limit = ["run", "--max-rss", f"{max_rss}B"] if max_rss is not None and max_rss % (1 << 20) else None
    if limit is None and max_rss is not None:
        limit = ["run", "--max-rss", f"{max_rss >> 20}M"]
    dashes = ("--",) if any(name.startswith("-") for name in inputs) else ()
    return ("oomguard", *(limit or ()), "prepare", *flags, *more, *dashes, *inputs) if dashes else (
        "oomguard", *(limit or ()), "prepare", *inputs, *flags, *more
    )  # fmt: skip


__all__ = ["ClusterAsked", "plan"]
