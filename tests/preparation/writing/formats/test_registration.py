"""A format is one module and one entry of one table. This fails for one that is not whole."""

import importlib
import pkgutil
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from oomguard.preparation.writing import formats
from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard, Layout, OutputFormat
from oomguard.preparation.writing.formats.table import FORMATS, format_help
from tests.preparation.writing.formats.readers import READERS

FAMILIES = ["gpt2", "cl100k", "o200k"]


def made(output: OutputFormat, splits: tuple[str, ...], *, width: int = 2, tokens: int = 10**7) -> FinishedSet:
    layout = Layout(
        name=output.default_name,
        token_bytes=width,
        shard_tokens=None if output.one_file else 10**7,
        block_size=output.block_size,
        tokenizer="gpt2",
    )
    shards = [
        FinishedShard(path=output.file_name(layout, split, number), split=split, tokens=tokens)
        for split in splits
        for number in range(1 if output.one_file else 3)
    ]
    return FinishedSet(folder="/data/mine", shards=tuple(shards), layout=layout, vocabulary_size=50_257, eot=50_256)


def test_every_module_with_a_format_is_in_the_table() -> None:
    found = set()
    for module in pkgutil.iter_modules(formats.__path__):
        loaded = importlib.import_module(f"{formats.__name__}.{module.name}")
        found |= {each for each in vars(loaded).values() if isinstance(each, type) and OutputFormat in each.__mro__[1:]}
    assert found == {type(each) for each in FORMATS.values()}


@pytest.mark.parametrize("output", FORMATS.values(), ids=FORMATS)
def test_it_is_whole(output: OutputFormat) -> None:
    assert re.fullmatch("[a-z]+", output.name)
    assert output.name in READERS, "a reader in NumPy"
    assert f"{output.name}: {output.help}" in format_help()
    assert len(output.help) < 70
    assert {output.end_of_text(family) for family in FAMILIES} <= {"before", "after"}
    assert output.val_fraction is None or 0 < float(output.val_fraction) < 1
    assert output.takes_blocks >= (output.block_size is not None)
    whole = made(output, ("train", "val"))
    for shard in whole.shards:
        assert output.owned.fullmatch(shard.path)
        assert shard.path.startswith(f"{shard.split}/") == output.folders
    assert len({shard.path for shard in whole.shards}) == len(whole.shards)
    names = output.split_files(whole.layout, "train", whole.of("train"))
    assert all(output.owned.fullmatch(name) for name in names)
    sizes = {len(output.header(whole.layout, tokens)) for tokens in (0, 1, 10**7)}
    assert len(sizes) == 1, "the real header takes the place of the planned one"


@pytest.mark.parametrize("output", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("width", [2, 4])
def test_its_next_command_is_there_and_names_what_is_there(output: OutputFormat, width: int) -> None:
    whole = made(output, ("train", "val"), width=width)
    lines = output.next_lines(whole)
    assert lines[0].startswith("next: ")
    assert lines[1].startswith("  ")
    text = "\n".join(lines)
    assert "/data/mine" in text
    for split in ("train", "val"):
        for path in re.findall(rf"/data/mine/'?({split}[\w/]*|\w*_{split}_[\w*]*\.\w+)", text):
            prefix = path.partition("*")[0]
            assert any(shard.path.startswith(prefix) for shard in whole.shards), path


@pytest.mark.parametrize("output", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("there", ["train", "val"])
def test_a_split_that_is_missing_is_said_and_not_named(output: OutputFormat, there: str) -> None:
    """cases/D4, D5, D7: no command that must fail."""
    half = made(output, (there,))
    missing = "val" if there == "train" else "train"
    text = "\n".join(output.next_lines(half))
    assert f"{missing}_text" not in text
    assert f"_{missing}_" not in text
    assert f"/{missing}" not in text
    if there == "val" or output.name in ("nanogpt", "npy", "llmc"):  # whose loaders ask for both
        assert output.notes(half)
        assert "again" in text
        assert "/data/mine" not in text


@pytest.mark.parametrize("name", ["nanogpt", "npy", "llmc"])
def test_what_is_said_to_make_validation_makes_it(name: str) -> None:
    """cases/D5: with the tokens and documents that there are; of a converted set, by preparing it again."""
    output = FORMATS[name]
    half = replace(made(output, ("train",)), documents=1000)
    tokens = half.tokens("train")
    (fraction,) = re.findall(r"--val-fraction ([\d.]+)", output.next_lines(half)[1])
    assert tokens * float(fraction) > 1024
    small = replace(half, shards=(replace(half.of("train")[0], tokens=40_000),))
    (fraction,) = re.findall(r"--val-fraction ([\d.]+)", output.next_lines(small)[1])
    assert name != "nanogpt" or 40_000 * float(fraction) > 1024
    assert fraction in " ".join(output.notes(small))
    one = output.next_lines(replace(half, documents=1))[1]
    assert "two documents or more" in one
    assert "two documents" not in output.next_lines(replace(half, documents=1, is_divisible=True))[1]
    assert "--separator" in output.next_lines(replace(half, documents=1, is_undivided=True))[1]
    if name == "nanogpt":
        tiny = replace(half, shards=(replace(half.of("train")[0], tokens=900),))
        assert "more text" in output.next_lines(tiny)[1]
    assert "the same command" not in output.next_lines(replace(half, is_converted=True))[0]


@pytest.mark.parametrize("name", ["npy", "llmc"])
def test_a_last_shard_too_short_for_a_batch_is_said(name: str) -> None:
    """cases/D8: llm.c and build-nanogpt stop on it."""
    output = FORMATS[name]
    whole = made(output, ("train", "val"))
    short = FinishedShard(path=output.file_name(whole.layout, "train", 9), split="train", tokens=253_439)
    notes = " ".join(output.notes(FinishedSet(
        folder="x", shards=(*whole.of("train"), short, *whole.of("val")), layout=whole.layout, vocabulary_size=1, eot=0,
    )))  # fmt: skip
    assert "253,439" in notes
    total = 6 * 10**7 + 253_439
    even = int(re.search(r"--shard-tokens (\d+)", notes)[1])
    assert total % even == 0 or total % even > 524_289
    assert "253,439" not in " ".join(output.notes(whole))
    parts = tuple(replace(shard, tokens=500) for shard in whole.of("train"))
    (note,) = output.notes(replace(whole, shards=(*parts, *whole.of("val"))))
    assert note.startswith("all train shards have 500 tokens or fewer")
    assert "fold" not in note


def test_one_train_shard_is_said_to_modded_nanogpt() -> None:
    output = FORMATS["llmc"]
    whole = made(output, ("train", "val"))
    one = FinishedSet(
        folder="x", shards=(whole.of("train")[0], *whole.of("val")), layout=whole.layout, vocabulary_size=1, eot=0
    )
    assert "StopIteration" in " ".join(output.notes(one))
    assert "StopIteration" not in " ".join(output.notes(whole))


@pytest.mark.parametrize("folder", ["/data/my set", "/data/it's", "/data/\udcff\udcfe", "/data/\x1b[31m"])
def test_folders_are_quoted_for_a_shell(folder: str, tmp_path: object) -> None:
    """cases/D9: what is printed is what a shell takes."""
    lines = FORMATS["nanogpt"].next_lines(replace(made(FORMATS["nanogpt"], ("train", "val")), folder=folder))
    word = lines[1].removeprefix("  ln -s ").removesuffix(" data/mine")
    said = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert said == folder.encode(errors="surrogateescape")
    assert word.isprintable()


def test_the_table_is_light() -> None:
    code = "import oomguard.preparation.writing.formats.table, sys; print(sorted({'numpy', 'pyarrow', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("name", "words"), [("nanogpt", "np.uint32"), ("npy", "vocab_size"), ("llmc", "Llama 3")])
def test_wide_ids_are_said(name: str, words: str) -> None:
    """The trainer has to be told."""
    text = "\n".join(FORMATS[name].next_lines(made(FORMATS[name], ("train", "val"), width=4)))
    assert "uint32" in text
    assert words in text
