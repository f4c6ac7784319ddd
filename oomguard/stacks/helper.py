"""A forked process that reads others' memory for this one: what a bad pointer may crash, and nobody waits for it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from oomguard.kernel.process.prctl import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_DESCRIPTORS = 1024


def become_helper(parent_pid: int, keep: Iterable[int]) -> None:
    """In the child: end with the parent, and have nothing of its open files but `keep`.

    Whoever waits for one of the others to close must not wait for this process. Raises: OSError.
    """
    die_with_parent(parent_pid)
    first = 3
    for fd in (*sorted(keep), _MOST_DESCRIPTORS):
        os.closerange(first, fd)
        first = fd + 1
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)


def send(fd: int, message: object) -> None:
    """One line of JSON, whole. Raises: OSError if nobody listens any more."""
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(fd, line) :]
