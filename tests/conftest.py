"""What all tests share. Nothing above the environment may import Typer, which reads it when it is imported."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.known_skips import SkipReport
from tests.properties import register_profiles
from tests.running import run_oomguard

os.environ.update(TERMINAL_WIDTH="80", COLUMNS="80", _TYPER_FORCE_DISABLE_TERMINAL="1")
for name in ("FORCE_COLOR", "NO_COLOR", "PY_COLORS", "CLICOLOR_FORCE"):
    os.environ.pop(name, None)
if "OOMGUARD_DATA" in os.environ:  # the rank files of all encodings, so that no test needs the network
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(os.environ["OOMGUARD_DATA"], "vocab"))

# Started in the background or by nohup, this process ignores signals, and all that it starts would.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)

register_profiles()

SCREENS = Path(__file__).parent / "screens"
# Whoever asks for one of these starts processes, makes a large corpus, or draws pages.
SLOW_FIXTURES = {"browser", "corpus", "oomguard"}
# Made once for a module, in seconds: all tests of a module that use one run in one worker.
MADE_ONCE = {"begun", "browser", "skewed", "undisturbed"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-screens", action="store_true", help="Rewrite tests/screens/ with what is seen now.")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # one of xdist's workers: its reports come to the process that started it
        config.pluginmanager.register(SkipReport(), "oomguard-skips")
    else:
        config.pluginmanager.register(KeepsGroups(), "oomguard-groups")
        config.pluginmanager.register(TakesTurns(), "oomguard-turns")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests into lanes by what they use; see CONTRIBUTING.md."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & SLOW_FIXTURES:
            item.add_marker("slow")
        if "machine" in fixtures:
            item.add_marker("vm")
        if (made_once := fixtures & MADE_ONCE) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}, {min(made_once)}"))
        if needs_the_machine(item):
            item.add_marker(pytest.mark.xdist_group("the machine"))  # one at a time, also with -n
    items.sort(key=needs_the_machine)  # those last: when no other worker has anything left to do beside them


def needs_the_machine(item: pytest.Item) -> bool:
    """Whether nothing else may run meanwhile, beside tests that are not live."""
    if item.get_closest_marker("live"):
        return item.get_closest_marker("alone") is not None or item.get_closest_marker("pairs") is None
    return item.get_closest_marker("vm") is not None


class TakesTurns:
    """In a worker of xdist: a live test that needs the machine waits until no other live test runs, and they for it."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if item.get_closest_marker("live") is None:
            return (yield)
        with Path(__file__).open() as turn:
            fcntl.flock(turn, fcntl.LOCK_EX if needs_the_machine(item) else fcntl.LOCK_SH)
            try:
                return (yield)
            finally:
                fcntl.flock(turn, fcntl.LOCK_UN)  # whoever was forked meanwhile has the file too


class KeepsGroups:
    """In a worker of xdist: its groups, which xdist 3.8 writes where pytest 9.2 no longer looks.

    Without this a mark xdist_group does nothing, and says nothing.
    """

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            grouped = str(vars(item).get("_nodeid", ""))
            if grouped.startswith(f"{item.nodeid}@"):
                item._id = type(item.id).parse(grouped)  # of pytest 9.2


@pytest.fixture
def check_screen(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file of tests/screens/. Trailing spaces do not count: Rich pads with them."""

    def check(name: str, seen: str) -> None:
        file = SCREENS / name
        seen = "".join(f"{line.rstrip()}\n" for line in seen.splitlines())
        if request.config.getoption("--update-screens"):
            file.write_text(seen, encoding="utf-8")
        assert file.exists(), f"no {file}: pytest --update-screens makes it, then review it"
        assert seen == file.read_text(encoding="utf-8")

    return check


@pytest.fixture
def oomguard(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in the test's own folder and wait for it."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run_oomguard(*arguments, **{"cwd": tmp_path, **options})

    return run
