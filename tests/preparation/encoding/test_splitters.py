"""Patterns are known by their whole text, and characters by tiktoken's Unicode."""

import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

import hatch_build
from oomguard.preparation.encoding import load_engine, native, splitters
from oomguard.preparation.encoding.native import CoreUnavailable
from oomguard.preparation.encoding.rebuilding import rebuild_command
from oomguard.preparation.encoding.splitters import find_splitter, pattern_of
from tests.preparation.encoding.core_texts import SPLITTERS
from tests.reference import pattern_of as installed_pattern

ROOT = Path(hatch_build.__file__).parent


@pytest.mark.parametrize(
    ("name", "splitter"),
    [
        ("r50k_base", splitters.R50K),
        ("p50k_base", splitters.R50K),
        ("cl100k_base", splitters.CL100K),
        ("o200k_base", splitters.O200K),
    ],
)
def test_the_installed_tiktokens_patterns_are_known(name: str, splitter: splitters.Splitter) -> None:
    assert find_splitter(installed_pattern(name)) == splitter


@pytest.mark.parametrize("name", SPLITTERS)
def test_a_pattern_that_differs_by_one_character_is_not_known(name: str) -> None:
    pattern = pattern_of(SPLITTERS[name])
    assert find_splitter(pattern) == SPLITTERS[name]
    assert find_splitter(pattern + "+") is None
    assert find_splitter(pattern.replace("{1,3}", "{1,2}").replace(r"|\p{N}|", r"|\p{N}+|") + " ") is None


def test_the_core_and_tiktoken_are_of_the_same_unicode() -> None:
    try:
        native.load_core()
    except CoreUnavailable as error:
        pytest.skip(f"{error}: {error.do}")
    assert load_engine.require_same_unicode() == load_engine._probe()


def test_another_unicode_refuses_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_engine, "unicode_version", lambda: "16.0")
    monkeypatch.setattr(load_engine, "tiktoken_unicode", lambda: "17.0")
    with pytest.raises(CoreUnavailable, match=r"uses Unicode 17\.0, the encoder core 16\.0"):
        load_engine.require_same_unicode()


def test_a_tiktoken_that_nobody_compared_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_engine, "_COMPARED", {})
    assert load_engine.tiktoken_unicode() in load_engine._ADDED


def test_the_table_of_classes_is_what_the_installed_tiktoken_says() -> None:
    """The generator, run anew, writes the file that is there."""
    done = subprocess.run(
        [sys.executable, "tools/unicode_classes.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == (ROOT / hatch_build.SOURCE / "unicode_classes.h").read_text()


def test_without_the_library_the_caller_is_told(tmp_path: Path) -> None:
    with pytest.raises(CoreUnavailable, match="not built"):
        native.load_core(tmp_path / "core.so")
    (tmp_path / "broken.so").write_bytes(b"\x7fELF")
    with pytest.raises(CoreUnavailable, match="cannot be loaded"):
        native.load_core(tmp_path / "broken.so")


def test_the_command_that_builds_it_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its sources or from an index, with the compiler that is there, or with one that pip brings."""
    monkeypatch.setattr(sys, "executable", "/a b/python")
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/cc")
    assert shlex.split(rebuild_command(tmp_path)) == [
        "/a b/python", "-m", "pip", "install", "--no-deps", "--force-reinstall", "--no-cache-dir", "oomguard",
    ]  # fmt: skip
    (tmp_path / "hatch_build.py").touch()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert shlex.split(rebuild_command(tmp_path)) == [
        "OOMGUARD_CC=zig", "/a b/python", "-m", "pip", "install", "--no-deps", "--editable", str(tmp_path),
    ]  # fmt: skip


@pytest.mark.parametrize(("asked", "brought"), [("zig", ["ziglang"]), ("gcc", []), (None, [])])
def test_zig_is_brought_for_the_build_when_it_is_asked_for(
    asked: str | None, brought: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed cannot be imported by a build of pip's; hatchling asks the hook what the build needs."""
    monkeypatch.delenv("OOMGUARD_CC", raising=False)
    if asked:
        monkeypatch.setenv("OOMGUARD_CC", asked)
    assert hatch_build.CustomBuildHook.dependencies(mock.Mock(spec=hatch_build.CustomBuildHook)) == brought


def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("OOMGUARD_CC", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert hatch_build.find_compiler() is None
    assert hatch_build.find_compiler("aarch64-linux-musl") is None
    monkeypatch.setenv("OOMGUARD_CC", "gcc-12 -m64")
    assert hatch_build.find_compiler() == ["gcc-12", "-m64"]
