"""What people see of swap: what would be made, what was made and removed, and how full it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.text import Command, Rows, as_root, printable, shell_word
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from oomguard.swap.model import AreaStatus, RemovedArea, SwapAdded, SwapPlan, SwapRemoval, SwapStatus

_DISKS = {
    "nvme": "NVMe disk", "ssd": "SSD", "hdd": "spinning disk", "card": "memory card", "virtual": "virtual disk",
    "loop": "loop device", "memory": "RAM disk", "network": "network disk", "unknown": "disk",
}  # fmt: skip
Row = tuple[str, str | Command]

_SHOWN = 8  # processes with memory swapped out, by name


def render_plan(plan: SwapPlan) -> RenderableType:
    """Build the screen for people."""
    screen = Rows(_plan_lines(plan))
    if not plan.steps:
        return screen
    return Group(screen, _by_hand(step.shell(sudo=not plan.as_root) for step in plan.steps))


def _by_hand(commands: Iterable[str]) -> RenderableType:
    """The commands that do the same, one a line, never broken."""
    lines = "\n".join(f"  {printable(command)}" for command in commands)
    return Text(f"\nthe same by hand:\n{lines}", no_wrap=True, overflow="ignore")


def _plan_lines(plan: SwapPlan) -> list[Row]:
    if plan.place is None:
        return [("swap", f"not needed: {plan.because}")]
    left = plan.place.free - plan.size
    lines: list[Row] = [
        ("swap", f"{format_size(plan.size)} at {plan.path}"),
        *([("size", plan.because)] if plan.because else []),
        ("disk", f"{plan.place.mount_point} ({plan.place.file_system}, {_disk(plan)})"),
        (
            "space",
            f"{format_size(plan.place.free)} of {format_size(plan.place.total)} free; {format_size(left)} after this",
        ),
        ("speed", _speed(plan)),
        ("lasts", _lasts(plan)),
        ("helps", {"yes": "yes", "slowly": "yes, slowly; see below", "no": "no; see below"}[plan.helps]),
    ]
    for concern in plan.concerns:
        lines.append(("note" if concern.effect == "note" else "but", concern.text))
        if concern.command:
            lines.append(("", Command(concern.command)))
    return lines


def _lasts(plan: SwapPlan) -> str:
    if plan.for_command:
        return "until the command ends"
    return "permanently, by a line in /etc/fstab" if plan.persist else "until it is removed, or the next boot"


def _disk(plan: SwapPlan) -> str:
    assert plan.place is not None
    disk = plan.place.disk
    return f"{_DISKS[disk.kind]} {disk.name}".rstrip()


def _speed(plan: SwapPlan) -> str:
    assert plan.place is not None
    disk, seconds = plan.place.disk, plan.write_seconds or 0.0
    rate = f"{disk.bytes_per_second / 1e9:.2f} GB/s"
    source = "measured by reading" if disk.measured else "typical of such disks; not measured"
    return f"about {rate} ({source}): {_duration(seconds)} to write all of it"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def render_added(added: SwapAdded) -> RenderableType:
    """Build the screen for people."""
    if added.path is None:
        return Text("no swap was made: it is not needed")
    state = "was on" if added.removed else "on"
    screen = Rows(
        [
            (state, f"{format_size(added.size)} of swap at {added.path}, made in {added.wall_seconds:.1f} s"),
            ("now", f"{format_size(added.available)} of memory available, {format_size(added.swap_total)} of swap"),
        ]
    )
    if added.removed:
        return screen
    remove = as_root(f"swap remove {shell_word(added.path)}")
    next_line = Text(
        f"\nnext: start the job. To remove the swap afterwards:\n  {remove}", no_wrap=True, overflow="ignore"
    )
    return Group(screen, next_line)


def render_removal(removal: SwapRemoval) -> RenderableType:
    """Build the screen for people."""
    label = "removed" if removal.done else "remove"
    screen = Rows([(label, f"{area.path}: {_describe(area, done=removal.done)}") for area in removal.areas])
    if removal.done:
        return screen
    sudo = "" if removal.as_root else "sudo "
    return Group(screen, _by_hand(f"{sudo}{line}" for area in removal.areas for line in area.commands()))


def _describe(area: RemovedArea, *, done: bool) -> str:
    used = f"{format_size(area.used)} {'was ' if done else ''}in use" if area.on else "off"
    parts = [f"{format_size(area.size)} ({used})"]
    if not area.by_oomguard:
        parts.append("not made by oomguard")
    if area.in_fstab:
        parts.append(f"its line in /etc/fstab {'' if done else 'to be '}removed")
    if area.deletes:
        parts.append(f"file {'' if done else 'to be '}deleted")
    else:
        parts.append("device kept" if done else "device to be kept")
    return ", ".join(parts)


def render_status(status: SwapStatus) -> RenderableType:
    """Build the screen for people."""
    parts: list[RenderableType] = [_areas(status)]
    if status.holders:
        parts += [Text(""), _holders(status)]
    return Group(*parts, Text(""), Rows(_status_lines(status)))


def _areas(status: SwapStatus) -> RenderableType:
    if not status.areas:
        return Text("no swap is on")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("area", "kind"):
        table.add_column(heading, overflow="fold")
    for heading in ("size", "used", "priority"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for area in status.areas:
        table.add_row(
            Text(printable(area.path)),
            area.kind,
            format_size(area.size),
            format_size(area.used),
            "-" if area.priority is None else str(area.priority),
            Text(_origin(area)),
        )
    return table


def _holders(status: SwapStatus) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("swapped out", justify="right", no_wrap=True)
    table.add_column("process", overflow="fold")
    for holder in status.holders[:_SHOWN]:
        user = "" if holder.uid is None else f", uid {holder.uid}"
        table.add_row(format_size(holder.swap), Text(f"{printable(holder.name)} (pid {holder.pid}{user})"))
    rest = status.holders[_SHOWN:]
    if rest:
        table.add_row(format_size(sum(holder.swap for holder in rest)), f"{len(rest)} more")
    return table


def _status_lines(status: SwapStatus) -> list[Row]:
    used = sum(area.used for area in status.areas)
    known = sum(holder.swap for holder in status.holders)
    lines: list[Row] = [("memory", f"{format_size(status.available)} available")]
    if used > known:
        why = "tmpfs and shared memory" + (", and other users' processes" if status.hidden_processes else "")
        lines.append(("rest", f"{format_size(used - known)} swapped out: {why}"))
    if status.speed is not None:
        lines.append(
            (
                "speed",
                f"now {format_size(status.speed.read)}/s read back, {format_size(status.speed.written)}/s written",
            )
        )
    if status.pressure is not None:
        lines.append(
            (
                "pressure",
                f"some task waited for memory for {100 * status.pressure.some_10s:.0f}% of the last 10 s",
            )
        )
    lines += [
        (each.name, f"stores {format_size(each.holds)} in {format_size(each.takes)} of memory")
        for each in status.compressed
    ]
    if status.zswap is False and used:
        lines += [
            ("zswap", "off; to switch it on:"),
            ("", Command("echo Y | sudo tee /sys/module/zswap/parameters/enabled")),
        ]
    if any(area.state in ("left over", "off") for area in status.areas):
        lines += [("next", "to remove what is off or left over:"), ("", Command(as_root("swap remove")))]
    return lines


def _origin(area: AreaStatus) -> str:
    if not area.made_by_oomguard:
        return ""
    return {
        "on": "made by oomguard",
        "command": "until its command ends",
        "off": "made by oomguard, off since the last boot",
        "left over": "left by a killed run",
    }[area.state]
