"""The card of a dataset: which subsets and splits its README.md names, and the files of each.

Source: https://huggingface.co/docs/hub/datasets-manual-configuration: in the YAML at its begin, `configs:` with
`config_name`, `data_files` (a path or glob, a list of them, or of {split, path}) and `data_dir`.
"""

from __future__ import annotations

from typing import Any

from oomguard.errors import BadInput, MissingExtra, NothingFound
from oomguard.text import printable, shell_word

_LISTED = 12
_ONE_SPLIT = "train"  # of files that are named without one, as `datasets` calls it

Subsets = dict[str, dict[str, list[str]]]  # a subset's name: a split's name: its paths and globs


def parse_card(text: str) -> Subsets:
    """Give the subsets that a README.md names; none where it says nothing of them.

    Raises: MissingExtra; ValueError if what it says cannot be read.
    """
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("the subsets of a dataset are read with PyYAML", extra="hub") from error
    try:
        card = yaml.load("\n".join(lines[1:end]), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:  # of its tags
        raise ValueError("its YAML is damaged") from error
    configs = card.get("configs") if isinstance(card, dict) else None
    found: Subsets = {}
    for config in [] if configs is None else configs if isinstance(configs, list) else [configs]:
        if not isinstance(config, dict):
            raise ValueError("configs: in an unknown form")  # noqa: TRY004
        splits = _splits(config.get("data_files"), str(config.get("data_dir") or "").strip("/"))
        if splits:
            found[str(config.get("config_name", "default"))] = splits
    return found


def _splits(files: Any, folder: str) -> dict[str, list[str]]:
    if files is None:
        return {_ONE_SPLIT: [folder]} if folder else {}
    if isinstance(files, dict):
        files = [{"split": split, "path": path} for split, path in files.items()]
    splits: dict[str, list[str]] = {}
    for one in files if isinstance(files, list) else [files]:
        split, paths = (one.get("split", _ONE_SPLIT), one.get("path")) if isinstance(one, dict) else (_ONE_SPLIT, one)
        for path in paths if isinstance(paths, list) else [paths]:
            if not isinstance(path, str):
                raise ValueError("data_files: in an unknown form")  # noqa: TRY004
            if "://" in path:
                raise ValueError(f"its files are elsewhere: {path}")
            path = path.removeprefix("./").lstrip("/")  # noqa: PLW2901
            splits.setdefault(str(split), []).append(f"{folder}/{path}" if folder else path)
    return splits


def choose(subsets: Subsets, wanted: str | None, *, name: str, address: str) -> list[str] | None:
    """Give the paths of the subset that is wanted, or of the only one; None: the card names none.

    `wanted`: SUBSET or SUBSET:SPLIT. Raises: NothingFound; BadInput where there are several.
    """
    line = f"oomguard prepare {shell_word(address)} --subset"
    if not subsets:
        if wanted is not None:
            raise NothingFound(
                f"{name}: its card (README.md) names no subsets, so there is no --subset {printable(wanted)}",
                do=f"name the folder: oomguard prepare {shell_word(address)}/FOLDER",
            )
        return None
    chosen, split = wanted, ""
    if wanted is None:
        if len(subsets) > 1:
            raise BadInput(
                f"{name} has {len(subsets)} subsets: {_some(subsets)}", do=f"{line} {shell_word(_first(subsets))}"
            )
        chosen = next(iter(subsets))
    elif wanted not in subsets:
        chosen, _, split = wanted.rpartition(":")
    if chosen not in subsets:
        raise NothingFound(
            f"{name}: no subset {printable(wanted or '')}; the subsets are: {_some(subsets)}",
            do=f"{line} {shell_word(_first(subsets))}",
        )
    splits = subsets[chosen]
    if not split and len(splits) == 1:
        return next(iter(splits.values()))
    if split not in splits:
        what = f"no split {printable(split)}" if split else f"{len(splits)} splits"
        raise BadInput(
            f"{name}: the subset {printable(chosen)} has {what}; the splits are: {_some(splits)}",
            do=f"{line} {shell_word(f'{chosen}:{_first(splits)}')}",
        )
    return splits[split]


def _some(names: Any) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(printable(name) for name in list(names)[:_LISTED]) + more


def _first(names: Any) -> str:
    return str(_ONE_SPLIT if _ONE_SPLIT in names else next(iter(names)))
