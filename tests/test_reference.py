"""The generated pages are what the program says: `make docs` writes them."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import TYPE_CHECKING

import pytest

import oomguard
from oomguard.errors import OomguardError
from tools.reference import ROOT, api_page, cli_page, json_documents, key_types, man_page, systems_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("file", "page"),
    [
        ("docs/cli.md", cli_page),
        ("docs/api.md", api_page),
        ("docs/systems.md", systems_page),
        ("man/oomguard.1", man_page),
    ],
)
def test_a_page_is_as_it_would_be_written_now(file: str, page: Callable[[], str]) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == page(), "make docs, then review the diff"


def test_every_json_key_is_documented(tmp_path: Path) -> None:
    text = (ROOT / "docs/json.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (oomguard\.\w+/\d+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    for _, document in json_documents(tmp_path):
        documented = set(re.findall(r"^\| `([^`.\[]+)` \|", sections[document["schema"]], re.MULTILINE))
        assert {key for key, _ in key_types(document) if "." not in key} == documented, document["schema"]


def test_every_error_can_be_imported_from_the_package() -> None:
    for module in pkgutil.walk_packages(oomguard.__path__, "oomguard."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, left = set(), [OomguardError]
    while left:
        error = left.pop()
        found.add(error)
        left += error.__subclasses__()
    ours = {error.__name__ for error in found if error.__module__.startswith("oomguard.")}
    assert ours - set(oomguard.__all__) == set()


def test_every_error_has_its_cure_in_troubleshooting() -> None:
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    errors = [name for name in oomguard.__all__ if isinstance(getattr(oomguard, name), type)]
    of_ours = [name for name in errors if issubclass(getattr(oomguard, name), OomguardError)]
    assert [name for name in of_ours if f"`{name}`" not in text] == []


def test_the_index_names_every_page() -> None:
    text = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md") if page.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in text] == []


def test_the_architecture_names_modules_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    modules = [f"/{module.relative_to(ROOT)}" for module in (ROOT / "oomguard").rglob("*.py")]
    named = set(re.findall(r"(?<![\w/.])[a-z_]+(?:/[a-z_]+)*\.py", text.replace("../", "")))
    assert len(named) > 30
    assert [name for name in named if not any(module.endswith(f"/{name}") for module in [*modules, *_TOOLS])] == []
    packages = set(re.findall(r"(?<![\w/.])[a-z_]+(?:/[a-z_]+)*/(?=[\s,])", text))
    assert [name for name in packages if not (ROOT / "oomguard" / name).is_dir() and name not in _UNSPECIFIC] == []


_TOOLS = [f"/{tool.relative_to(ROOT)}" for tool in (ROOT / "tools").glob("*.py")]
_UNSPECIFIC = {"rules/", "screens/"}  # of any feature
