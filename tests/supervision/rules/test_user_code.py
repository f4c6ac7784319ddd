"""Whose line is shown first, and of which thread. The paths are those of Debian, conda, uv and venvs."""

from __future__ import annotations

import pytest

from oomguard.kernel.model import ProcessStack, StackFrame
from oomguard.supervision.rules.user_code import (
    first_shown,
    is_helper,
    is_library,
    only_waits,
    user_frame,
    user_place,
    waits,
    with_users_line,
)

PANDAS = "/opt/conda/lib/python3.12/site-packages/pandas/core/strings/object_array.py"
THREADING = "/usr/lib/python3.11/threading.py"


def stack(*places: tuple[str, int, str], pid: int = 1, thread: int = 1) -> ProcessStack:
    frames = tuple(StackFrame(file=f, line=n, function=name, arguments={}, locals={}) for f, n, name in places)
    return ProcessStack(pid=pid, thread=thread, language="python", frames=frames, read_by="pystack")


@pytest.mark.parametrize(
    ("file", "library"),
    [
        (PANDAS, True),
        ("/usr/lib/python3/dist-packages/numpy/core/numeric.py", True),
        ("/home/u/.venv/bin/gunicorn", True),
        ("<frozen codecs>", True),
        ("<dynamic-code>", True),
        ("<ipython-input-3-0a1b2c>", False),
        ("/tmp/ipykernel_12/3456.py", False),
        ("/home/u/bin/prepare.py", False),
        ("prepare.py", False),
        ("/home/u/lib/reader.py", False),
    ],
)
def test_what_is_a_library(file: str, library: bool) -> None:
    assert is_library(file) is library


def test_the_user_s_innermost_frame_below_sixty_of_a_library() -> None:
    deep = stack(
        *[(PANDAS, n, "apply") for n in range(1, 61)],
        ("/home/u/app.py", 4, "tokens"),
        ("/home/u/app.py", 9, "<module>"),
    )
    frame = user_frame(deep.frames)
    assert frame is not None
    assert (frame.file, frame.line) == ("/home/u/app.py", 4)
    assert user_frame(stack((PANDAS, 1, "f"), ("<frozen runpy>", 88, "_run_code")).frames) is None


def test_a_program_on_the_command_line_and_a_comprehension() -> None:
    assert user_place([(PANDAS, 1, "f"), ("<string>", 3, "g"), ("<string>", 5, "<module>")]) == 2
    assert user_place([("a.py", 8, "load.<locals>.<listcomp>"), ("a.py", 8, "load")]) == 1
    assert user_place([("a.py", 3, "<lambda>"), ("a.py", 8, "load")]) == 0


def test_the_thread_in_which_it_grew_then_the_one_that_works() -> None:
    waiting = stack((THREADING, 327, "wait"), ("app.py", 3, "idle"), thread=10)
    main = stack((THREADING, 1139, "_wait_for_tstate_lock"), ("app.py", 9, "<module>"), thread=1)
    working = stack((PANDAS, 5, "f"), ("app.py", 6, "fill"), thread=11)
    other = stack(("app.py", 20, "serve"), pid=2, thread=2)
    stacks = [waiting, main, working, other]
    assert waits(waiting)
    assert not waits(working)
    assert first_shown(stacks, {}, [])[0] is working
    assert first_shown(stacks, {1: 1}, [])[0] is main  # the kernel said so
    assert first_shown(stacks, {1: 1}, [("app.py", 3)])[0] is waiting
    assert [each.pid for each in first_shown(stacks, {}, [("app.py", 20)])] == [
        1,
        1,
        1,
        2,
    ]  # processes keep their order


def test_a_worker_that_has_done_its_part_is_behind_one_about_as_large_that_works() -> None:
    done, works = (
        ProcessStack(
            pid=pid, thread=pid, language="python", read_by="",
            frames=(StackFrame(file="app.py", line=line, function="work", arguments={}, locals={}, source=source),),
        )
        for pid, line, source in ((1, 14, "time.sleep(2)"), (2, 12, "for row in rows:"))
    )  # fmt: skip
    assert first_shown([done, works], {}, [], {1: 33, 2: 27}) == [works, done]
    assert first_shown([done, works], {}, [], {1: 33, 2: 20}) == [done, works]  # what it holds is the question
    assert first_shown([done, done], {}, [], {1: 33}) == [done, done]


def test_helpers_of_multiprocessing_do_no_work() -> None:
    assert is_helper(("python", "-B", "-c", "from multiprocessing.resource_tracker import main;main(5)"))
    assert not is_helper(("python", "prepare.py"))


POOL = "/usr/lib/python3.11/multiprocessing/pool.py"


def test_a_library_s_own_thread_works_for_the_user_s_line() -> None:
    results = [(POOL, 579, "Pool._handle_results"), (THREADING, 982, "Thread.run")]
    main = [(THREADING, 320, "Condition.wait"), ("a.py", 9, "take"), ("a.py", 12, "<module>")]
    assert with_users_line(results, lambda: main) == [*results, ("a.py", 9, "take"), ("a.py", 12, "<module>")]
    assert with_users_line(results, lambda: main[:1]) == results
    assert with_users_line([], lambda: main) == []


def test_a_thread_that_runs_the_user_s_code_is_not_joined_to_another() -> None:
    def read_main() -> list[tuple[str, int, str]]:
        raise AssertionError

    own = [(PANDAS, 3, "apply"), ("a.py", 7, "work"), (THREADING, 982, "Thread.run")]
    assert with_users_line(own, read_main) == own


@pytest.mark.parametrize(
    ("source", "waits"),
    [
        ("time.sleep(0.02)", True),
        ("await asyncio.sleep(1)  # a while", True),
        ("time.sleep(random.random() * 2)", True),
        ("thread.join()", True),
        ("self.thread.join(0.5)", True),
        ("worker.join(timeout=self.patience)", True),
        ("done.wait(timeout=5)", True),
        ("await asyncio.wait(tasks)", True),
        ("select.select([sock], [], [], 1.0)", True),
        ("self._selector.select(timeout)", True),
        ("poller.poll(1000)", True),
        ("sep.join(parts)", False),
        ("os.path.join(a, b)", False),
        ('.join(other, on="id")', False),
        ('.select("a", "b")', False),
        ("df.select(columns)", False),
        ("df.select(pl.all())", False),
        ("consumer.poll(1.0)", False),  # Kafka's gives a record
        ("futures.wait([pool.submit(work, row) for row in rows])", False),
        ('text = ",".join(parts)', False),
        ("rows.append(line); time.sleep(1)", False),
        ("for text in pool.imap(produce, wait(3)):", False),
    ],
)
def test_what_is_nothing_but_waiting(source: str, waits: bool) -> None:
    assert only_waits(source) is waits


@pytest.mark.parametrize(
    ("source", "waits"),
    [
        ("fd_event_list = self._selector.poll(timeout, max_ev)", True),  # asyncio's, of Python 3.11
        ("sock.sendall(data)", True),  # gunicorn's
        ("self.sock.send(view)", True),
        ("sock.sendall(b''.join(parts))", False),
        ("rows = consumer.poll(timeout, max_records)", False),
    ],
)
def test_the_lines_at_which_servers_wait(source: str, waits: bool) -> None:
    assert only_waits(source) is waits
