"""Format a file as swap, switch it on and off, with the commands of util-linux; what counts is /proc/swaps."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.errors import Stopped, SwapFailed
from oomguard.formats.proc import find_area
from oomguard.kernel.logs.kmsg import KernelMessages
from oomguard.swap.system.facts import read_swaps, system_tool
from oomguard.units import KIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


# Why swapon was refused: it says "Invalid argument", and the kernel's log says what is invalid.
#
# Source: Linux fs/btrfs/inode.c, btrfs_swap_activate(); fs/iomap/swapfile.c; mm/swapfile.c, SYSCALL swapon.


@dataclass(frozen=True, slots=True, kw_only=True)
class SwaponRefusal:
    """A refusal in words."""

    because: str
    do: str
    needs_zeros: bool = False  # the same file is taken when its blocks are really written


_ANOTHER_FILE = "oomguard swap --size SIZE  # makes a file that works as swap"
_MESSAGES: tuple[tuple[str, SwaponRefusal], ...] = (
    (
        r"has holes|not have holes|to have holes",
        SwaponRefusal(because="the file has holes: blocks without disk under them", do=_ANOTHER_FILE, needs_zeros=True),
    ),
    (
        r"unallocated|unwritten|not allocated",
        SwaponRefusal(because="the file has blocks that were never written", do=_ANOTHER_FILE, needs_zeros=True),
    ),
    (
        r"copy-on-write",
        SwaponRefusal(because="btrfs would write each page to a new place (copy on write)", do=_ANOTHER_FILE),
    ),
    (r"must not be compressed", SwaponRefusal(because="btrfs compressed the file", do=_ANOTHER_FILE)),
    (r"must not be inline", SwaponRefusal(because="btrfs keeps so small a file with its metadata", do=_ANOTHER_FILE)),
    (
        r"one device|single data profile|multiple devices",
        SwaponRefusal(
            because="the file lies on more than one disk of the btrfs, or more than once",
            do="--path FILE on a file system of one disk",
        ),
    ),
    (
        r"exclusive operation|snapshot creation|subvolume deletion",
        SwaponRefusal(
            because="a balance, resize or snapshot of this btrfs is running",
            do="wait for it, then try again",
        ),
    ),
    (r"shared extents|reflink", SwaponRefusal(because="the file shares blocks with a copy of it", do=_ANOTHER_FILE)),
    (
        r"different block device|realtime",
        SwaponRefusal(because="the file is not on the device of its file system", do="--path FILE on another disk"),
    ),
    (
        r"Unable to find swap-space signature|read swap header failed",
        SwaponRefusal(because="the file is not formatted as swap", do="mkswap FILE"),
    ),
    (
        r"[Dd]evice or resource busy",
        SwaponRefusal(because="the file is in use as swap already", do="oomguard swap status"),
    ),
    (
        r"not permitted|[Pp]ermission denied",
        SwaponRefusal(
            because="the kernel does not permit it: a container's rules forbid it, or too many areas are on",
            do="oomguard swap status  # in a container: run it on the host",
        ),
    ),
)


def explain_swapon(said: str, kernel_log: Sequence[str]) -> SwaponRefusal:
    """Explain a refused swapon by what it said and what the kernel logged meanwhile. Raises: nothing."""
    lines = [line for line in kernel_log if re.search(r"swap|BTRFS", line, re.IGNORECASE)]
    for text in (*reversed(lines), said):
        for pattern, refusal in _MESSAGES:
            if re.search(pattern, text):
                return refusal
    last = lines[-1] if lines else said.strip().splitlines()[-1] if said.strip() else "the kernel gives no reason"
    return SwaponRefusal(because=last[:200], do="sudo dmesg | tail  # what the kernel says; or --path on another disk")


_LOOK_SECONDS = 0.1
_HEADER = 64 * KIB  # the largest page there is; the first page of an area holds no swapped one

_MUST_TAKE = 0.8


def format_as_swap(path: str) -> None:
    """Run mkswap. Raises: SwapFailed."""
    ended = _run("mkswap", path)
    if ended.returncode != 0:
        raise SwapFailed(
            f"mkswap {path} failed: {_last_line(ended.stderr)}", do=f"mkswap --verbose {shlex.quote(path)}"
        )


def switch_on(path: str, *, priority: int | None) -> SwaponRefusal | None:
    """Run swapon. Gives the reason where the kernel refuses, with what its log says.

    Raises: SwapFailed if there is no swapon.
    """
    with KernelMessages() as log:
        options = [] if priority is None else ["-p", str(priority)]
        ended = _run("swapon", *options, path)
        return None if ended.returncode == 0 else explain_swapon(ended.stderr, log.read())


def check_is_on(path: str, size: int) -> str | None:
    """See in /proc/swaps that the area is on, with its size. Gives a note where it is a little smaller.

    On a file system whose blocks are smaller than a page, pages that lie in two pieces are left out.
    Raises: SwapFailed if it is not on, or the kernel took much less.
    """
    area = find_area(read_swaps(), path)
    if area is None:
        raise SwapFailed(
            f"swapon {path} reported success, but /proc/swaps does not list it", do="cat /proc/swaps; dmesg | tail"
        )
    if area.size >= size - _HEADER:
        return None
    took = f"of {format_size(size)} the kernel took {format_size(area.size)} as swap"
    if area.size < size * _MUST_TAKE:
        raise SwapFailed(f"{took}: the file lies in too many pieces", do="--path FILE on a disk with more room")
    return f"{took}: the rest lies in pieces smaller than a page"


def switch_off(
    path: str,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    stop_asked: Callable[[], str | None] = lambda: None,
) -> None:
    """Run swapoff, which reads back all that is swapped. Harmless if the area is not on.

    `on_progress` gets what is read back and what there was, in bytes.
    Raises: SwapFailed if the kernel does not do it; Stopped if the user does not want to wait. The area is on then.
    """
    area = find_area(read_swaps(), path)
    if area is None:
        return
    started = time.monotonic()
    process = _start("swapoff", path)
    try:
        while True:
            try:
                _, said = process.communicate(timeout=_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                left = find_area(read_swaps(), path)
                if on_progress is not None and left is not None:
                    on_progress(max(0, area.used - left.used), area.used)
            if stop_asked():
                process.terminate()  # the kernel stops between two pages and leaves the area on
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if find_area(read_swaps(), path) is None:
        return
    if asked := stop_asked():
        raise Stopped(
            f"{asked} after {time.monotonic() - started:.0f} s; {path} is still on", do="oomguard swap remove, later"
        )
    raise SwapFailed(
        f"swapoff {path} failed: {_last_line(said)}",
        do="oomguard swap status  # shows whose memory it is: end that process, then try again",
    )


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = _start(tool, *arguments)
    out, said = process.communicate()
    return subprocess.CompletedProcess([tool, *arguments], process.returncode, out, said)


def _start(tool: str, *arguments: str) -> subprocess.Popen[str]:
    found = system_tool(tool)
    if found is None:
        raise SwapFailed(f"{tool} not found, in PATH or /usr/sbin", do="sudo apt-get install util-linux")
    # A group of its own: Ctrl-C is for oomguard, which then undoes in order.
    return subprocess.Popen(
        [found, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        start_new_session=True,
    )


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1][:200] if lines else "it gives no reason"
