"""The table of processes in an OOM report, whose columns differ between kernels: its header is read, never a version.

Source: Linux mm/oom_kill.c, dump_tasks() and dump_task(), 2.6.25 to 6.18. All columns but pgtables_bytes are in pages.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass

from oomguard.formats.kernel_log.records import TaskGroup, TaskRow, TaskTable

_HEADER = re.compile(r"\[ *pid *\]\s+uid\s+tgid\s+total_vm\s+rss\b(?P<more>.*)", re.DOTALL)
_ROW = re.compile(r"\[ *([0-9]{1,10})\]((?:\s+-?[0-9]{1,20})+)(?:\s+(.*))?", re.DOTALL)

# A row of a table whose head is lost: 7 to 10 numbers and a name of at most 15 bytes.
ROW_BEFORE_ITS_KILL = re.compile(r"\[ *[0-9]{1,10}\](?:\s+-?[0-9]{1,20}){7,10}\s+[^\s0-9].{0,40}")

_KNOWN = frozenset(
    [
        "pid",
        "uid",
        "tgid",
        "total_vm",
        "rss",
        "cpu",
        "oom_adj",
        "oom_score_adj",
        "nr_ptes",
        "nr_pmds",
        "pgtables_bytes",
        "swapents",
        "rss_anon",
        "rss_file",
        "rss_shmem",
        "name",
    ]
)
# How many columns are before the name, where the header was lost: the layouts that the kernel has had.
_GUESSES = {
    6: "uid tgid total_vm rss cpu oom_adj",
    7: "uid tgid total_vm rss pgtables_bytes swapents oom_score_adj",
    8: "uid tgid total_vm rss nr_ptes nr_pmds swapents oom_score_adj",
    10: "uid tgid total_vm rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj",
}
_OLD_SEVEN = "uid tgid total_vm rss nr_ptes swapents oom_score_adj"  # 3.6 to 3.19
_EL6_SEVEN = "uid tgid total_vm rss cpu oom_adj oom_score_adj"  # 2.6.36 to 3.5

KEPT_ROWS = 24
KEPT_GROUPS = 12
_MOST_NAMES = 4096
_MOST_PIDS = 16384
_OTHERS = "(other names)"


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as printed, in pages (pgtables in bytes, or in pages of page table if `pte_pages`)."""

    pid: int
    name: str
    uid: int
    total_vm: int
    rss: int
    shmem: int | None
    swap: int | None
    pgtables: int | None
    pte_pages: int | None
    oom_score_adj: int | None


class TaskTableReader:
    """Reads rows one by one and keeps what is largest: ten million rows take no more memory than a thousand."""

    def __init__(self) -> None:
        self.columns: list[str] | None = None
        self.guessed = False
        self.rows = self.rss = self.swap = 0
        self.saw_swap = False
        self.killable = 0
        self._scores: tuple[int, int] | None = None
        self._without_score = False
        self.pgtables_gcd_of: list[int] = []
        self._largest: list[tuple[int, int, RawRow]] = []
        self._groups: dict[str, list[int]] = {}
        self._by_pid: dict[int, RawRow] = {}

    def take_header(self, text: str) -> bool:
        """Read a header. An unknown word ends what is read from the left; the rest is read from the right."""
        found = _HEADER.search(text) if "tgid" in text else None
        if found is None:
            return False
        words = f"uid tgid total_vm rss {found['more']}".split()
        if "name" in words:
            del words[words.index("name") :]
        self.columns = words
        return True

    def take_row(self, text: str, joined: str) -> bool:
        """Read a row, alone or together with the lines that a mail program made of it."""
        if not text.lstrip().startswith("["):
            return False
        found = _ROW.match(text.lstrip())
        row = found and self._read(found)
        if not row and joined is not text and (whole := _ROW.match(joined.lstrip())):
            row = self._read(whole)
        if not row and found and self.columns:
            row = _read_torn(found)
        if row:
            self._add(row)
        return bool(row)

    def row_of(self, pid: int) -> RawRow | None:
        """The row of a process, if it was among the first that were read."""
        return self._by_pid.get(pid)

    def _read(self, found: re.Match[str]) -> RawRow | None:
        numbers, name = found[2].split(), found[3] or ""
        columns = self.columns or self._guess(numbers)
        if columns is None:
            return None
        missing = len(columns) - len(numbers)
        if missing > 0:
            return None
        if missing < 0:  # a name that begins with a number, or is one
            name = " ".join([*numbers[len(columns) :], *([name] if name else [])])
            numbers = numbers[: len(columns)]
        if not name.strip():
            return None
        value = dict(zip(columns, map(int, numbers), strict=True))
        if not _KNOWN.issuperset(columns):
            unknown = next(index for index, column in enumerate(columns) if column not in _KNOWN)
            left, right = columns[:unknown], columns[unknown + 1 :]
            value = dict(zip(left, map(int, numbers), strict=False))
            value |= dict(zip(reversed(right), map(int, reversed(numbers)), strict=False))
        if "rss" not in value or value["rss"] < 0:
            return None
        return _make_row(int(found[1]), name.strip()[:64], value)

    def _guess(self, numbers: list[str]) -> list[str] | None:
        """Infer the columns of a table whose header is lost from the number and the values of its columns."""
        names = _GUESSES.get(len(numbers))
        if names is None:
            return None
        if len(numbers) == 7:
            fifth, sixth, seventh = map(int, numbers[4:])
            if _looks_el6(sixth, seventh) and 0 <= fifth < 4096:
                names = _EL6_SEVEN
            elif fifth % 4096:
                names = _OLD_SEVEN
        self.guessed = True
        return names.split()

    def _add(self, row: RawRow) -> None:
        self.rows += 1
        self.rss += row.rss
        if row.swap is not None:
            self.saw_swap = True
            self.swap += row.swap
        self._add_score(row.oom_score_adj)
        if row.pgtables and len(self.pgtables_gcd_of) < 512:
            self.pgtables_gcd_of.append(row.pgtables)
        entry = (row.rss, -self.rows, row)  # of equals the first stays
        if len(self._largest) < KEPT_ROWS:
            heapq.heappush(self._largest, entry)
        elif entry > self._largest[0]:
            heapq.heapreplace(self._largest, entry)
        name = row.name if row.name in self._groups or len(self._groups) < _MOST_NAMES else _OTHERS
        group = self._groups.setdefault(name, [0, 0, 0])
        group[0] += 1
        group[1] += row.rss
        group[2] += row.swap or 0
        if len(self._by_pid) < _MOST_PIDS:
            self._by_pid.setdefault(row.pid, row)

    def _add_score(self, score: int | None) -> None:
        self._without_score = self._without_score or score is None
        if score is not None and score > -1000:
            self.killable += 1
            low, high = self._scores or (score, score)
            self._scores = (min(low, score), max(high, score))

    def finish(self, page_size: int | None) -> TaskTable:
        """Give the table in bytes."""
        page = page_size or 4096
        largest = [entry[2] for entry in sorted(self._largest, reverse=True)]
        groups = sorted(self._groups.items(), key=lambda item: -item[1][1] - item[1][2])[:KEPT_GROUPS]
        return TaskTable(
            rows=self.rows,
            rss=self.rss * page,
            swap=self.swap * page if self.saw_swap else None,
            largest=tuple(in_bytes(row, page) for row in largest),
            groups=tuple(
                TaskGroup(name=name, count=count, rss=rss * page, swap=swap * page if self.saw_swap else None)
                for name, (count, rss, swap) in groups
            ),
            guessed_columns=self.guessed and self.rows > 0,
            killable=None if self._without_score or self.guessed or self.columns is None else self.killable,
            scores=self._scores or (),
        )


def _read_torn(found: re.Match[str]) -> RawRow | None:
    """Read the left of a row whose middle is lost: "[23093] 48 23093 53756 863 8 0 p-fpm"."""
    numbers = found[2].split()
    if len(numbers) < 4 or not found[3] or int(numbers[3]) < 0:
        return None
    value = dict(zip(("uid", "tgid", "total_vm", "rss"), map(int, numbers), strict=False))
    return _make_row(int(found[1]), found[3].strip()[:64], value)


def in_bytes(row: RawRow, page: int) -> TaskRow:
    """Convert a row."""
    return TaskRow(
        pid=row.pid,
        name=row.name,
        uid=row.uid,
        total_vm=row.total_vm * page,
        rss=row.rss * page,
        shmem_rss=None if row.shmem is None else row.shmem * page,
        swap=None if row.swap is None else row.swap * page,
        pgtables=row.pgtables if row.pte_pages is None else row.pte_pages * page,
        oom_score_adj=row.oom_score_adj,
    )


def _looks_el6(oom_adj: int, oom_score_adj: int) -> bool:
    """oom_adj and oom_score_adj said the same on two scales, -17 to 15 and -1000 to 1000."""
    return oom_score_adj == (-1000 if oom_adj == -17 else 1000 if oom_adj == 15 else oom_adj * 1000 // 17)


def _make_row(pid: int, name: str, value: dict[str, int]) -> RawRow:
    ptes = value.get("nr_ptes")
    return RawRow(
        pid=pid,
        name=name,
        uid=max(0, value.get("uid", 0)),
        total_vm=max(0, value.get("total_vm", 0)),
        rss=value["rss"],
        shmem=value.get("rss_shmem"),
        swap=value.get("swapents"),
        pgtables=value.get("pgtables_bytes"),
        pte_pages=None if ptes is None else ptes + value.get("nr_pmds", 0),
        oom_score_adj=value.get("oom_score_adj"),
    )
