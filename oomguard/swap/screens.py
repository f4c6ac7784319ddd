"""What people see of swap: what would be made, what was made and removed, and how full it is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.swap.model import AreaStatus, RemovedArea, SwapAdded, SwapPlan, SwapRemoval, SwapStatus

_DISKS = {
    "nvme": "NVMe disk", "ssd": "SSD", "hdd": "spinning disk", "card": "memory card", "virtual": "virtual disk",
    "loop": "loop device", "memory": "RAM disk", "network": "network disk", "unknown": "disk",
}  # fmt: skip
_SHOWN = 8  # processes with memory swapped out, by name


def render_plan(plan: SwapPlan) -> RenderableType:
    """Build the screen for people."""
    screen = Table.grid(padding=(0, 2))
    screen.add_column()
    screen.add_column(overflow="fold")
    for label, value in _plan_lines(plan):
        screen.add_row(label, Text(value))
    commands = [Text(f"  {printable(step.shell(sudo=not plan.as_root))}") for step in plan.steps]
    if not commands:
        return screen
    return Group(screen, Text("\nthe same by hand:"), *commands)


def _plan_lines(plan: SwapPlan) -> list[tuple[str, str]]:
    if plan.place is None:
        return [("swap", f"none is needed: {plan.because}")]
    left = plan.place.free - plan.size
    lines = [
        ("swap", f"{format_size(plan.size)} at {printable(plan.path)}"),
        *([("size", plan.because)] if plan.because else []),
        ("disk", f"{printable(plan.place.mount_point)} ({printable(plan.place.file_system)}, {_disk(plan)})"),
        (
            "room",
            f"{format_size(plan.place.free)} free of {format_size(plan.place.total)}, {format_size(left)} remain",
        ),
        ("speed", _speed(plan)),
        ("lasts", _lasts(plan)),
        ("helps", {"yes": "yes", "slowly": "yes, slowly; see below", "no": "no; see below"}[plan.helps]),
    ]
    for concern in plan.concerns:
        lines.append(("note" if concern.effect == "note" else "but", printable(concern.text)))
        if concern.command:
            lines.append(("", f"  {printable(concern.command)}"))
    return lines


def _lasts(plan: SwapPlan) -> str:
    if plan.for_command:
        return "until the command ends"
    return "from boot to boot, by a line in fstab" if plan.persist else "until it is removed, or the next boot"


def _disk(plan: SwapPlan) -> str:
    assert plan.place is not None
    disk = plan.place.disk
    return f"{_DISKS[disk.kind]} {printable(disk.name)}".rstrip()


def _speed(plan: SwapPlan) -> str:
    assert plan.place is not None
    disk, seconds = plan.place.disk, plan.write_seconds or 0.0
    rate = f"{disk.bytes_per_second / 1e9:.2f} GB/s"
    source = "measured by reading" if disk.measured else "as such disks usually do; not measured"
    return f"about {rate} ({source}): {_duration(seconds)} to write all of it once"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def render_added(added: SwapAdded) -> RenderableType:
    """Build the screen for people."""
    if added.path is None:
        return Text("no swap was made: none is needed")
    screen = Table.grid(padding=(0, 2))
    screen.add_column()
    screen.add_column(overflow="fold")
    state = "was on" if added.removed else "on"
    for label, value in (
        (state, f"{format_size(added.size)} of swap at {printable(added.path)}, in {added.wall_seconds:.1f} s"),
        (
            "room",
            f"{format_size(added.available)} of memory available, {format_size(added.swap_total)} of swap in all",
        ),
    ):
        screen.add_row(label, Text(value))
    if added.removed:
        return screen
    path = printable(shlex.quote(added.path))
    return Group(screen, Text(f"\nnext: start the job; afterwards: sudo oomguard swap remove {path}"))


def render_removal(removal: SwapRemoval) -> RenderableType:
    """Build the screen for people."""
    screen = Table.grid(padding=(0, 2))
    screen.add_column()
    screen.add_column(overflow="fold")
    for area in removal.areas:
        screen.add_row("removed" if removal.done else "remove", Text(f"{printable(area.path)}: {_describe(area)}"))
    if removal.done:
        return screen
    sudo = "" if removal.as_root else "sudo "
    commands = [Text(f"  {sudo}{printable(line)}") for area in removal.areas for line in area.commands()]
    return Group(screen, Text("\nthe same by hand:"), *commands)


def _describe(area: RemovedArea) -> str:
    parts = [format_size(area.size)]
    parts.append(f"{format_size(area.used)} of it swapped out" if area.on else "not on")
    if not area.by_oomguard:
        parts.append("not made by oomguard")
    if area.in_fstab:
        parts.append("with its line in fstab")
    parts.append("the file goes" if area.deletes else "the device stays")
    return ", ".join(parts)


def render_status(status: SwapStatus) -> RenderableType:
    """Build the screen for people."""
    parts: list[RenderableType] = [_areas(status)]
    if status.holders:
        parts += [Text(""), _holders(status)]
    screen = Table.grid(padding=(0, 2))
    screen.add_column()
    screen.add_column(overflow="fold")
    for label, value in _status_lines(status):
        screen.add_row(label, Text(value))
    return Group(*parts, Text(""), screen)


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


def _status_lines(status: SwapStatus) -> list[tuple[str, str]]:
    used = sum(area.used for area in status.areas)
    known = sum(holder.swap for holder in status.holders)
    lines = [("memory", f"{format_size(status.available)} available")]
    if used > known:
        why = "of tmpfs, shared memory" + (", other users' processes" if status.hidden_processes else "")
        lines.append(("rest", f"{format_size(used - known)} swapped out, {why}"))
    if status.speed is not None:
        lines.append(
            (
                "speed",
                f"now {format_size(status.speed.read)}/s read back, {format_size(status.speed.written)}/s written",
            )
        )
    if status.pressure is not None:
        lines.append(
            ("waiting", f"some task waited for memory in {100 * status.pressure.some_10s:.0f} % of the last 10 s")
        )
    lines += [
        (each.name, f"holds {format_size(each.holds)} in {format_size(each.takes)} of memory")
        for each in status.compressed
    ]
    if status.zswap is False and used:
        lines.append(("zswap", "off; echo Y | sudo tee /sys/module/zswap/parameters/enabled"))
    if any(area.state in ("left over", "off") for area in status.areas):
        lines.append(("next", "sudo oomguard swap remove, for what is off or left over"))
    return lines


def _origin(area: AreaStatus) -> str:
    if not area.made_by_oomguard:
        return ""
    return {
        "on": "made by oomguard",
        "command": "until its command ends",
        "off": "made by oomguard, off since a boot",
        "left over": "left by a killed run",
    }[area.state]
