"""Who called whom at the peak: as a flame graph, and as a list for those who read rather than look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.formats.page.document import code, cut, name, safe
from oomguard.profiling.rules.call_tree import call_tree, largest_nodes, own_call_tree
from oomguard.profiling.screens import short_path
from oomguard.supervision.rules.user_code import is_library
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.rules.call_tree import CallNode
    from oomguard.supervision.growth.model import GrownCall

_ROW = 20  # pixels
_MOST_BOXES, _LEAST_BOX = 250, 0.002  # boxes; of the peak: what is narrower is a hair
_MOST_LISTED, _LEAST_LISTED = 40, 0.01
_PLACE, _SOURCE = 60, 80  # characters
_STEPS = 1_000_000  # the width of everything


def flame_graph(profile: PeakProfile) -> str:
    """Draw the stacks that memory grew in; nothing for a recording without stacks."""
    if not profile.stacks:
        return ""
    root = call_tree(profile.stacks)
    whole = max(1, root.grew_bytes, profile.peaks.peak_unreclaimable)
    shown = {id(node) for _, node in largest_nodes(root, _MOST_BOXES, least=max(1, int(_LEAST_BOX * whole)))}
    boxes = [_box(f"the peak, {format_size(whole)}", "", "rest", (0, 0, _STEPS), selected=True)]
    pending: list[tuple[CallNode, int, int]] = [(root, 0, 0)]  # a call, its depth and where its own calls begin
    depth = 0
    while pending:
        node, level, left = pending.pop()
        for child in node.largest_first():
            if id(child) not in shown:
                continue
            width = max(1, round(_STEPS * child.grew_bytes / whole))
            boxes.append(_call_box(profile, child, whole, (level + 1, left, width)))
            pending.append((child, level + 1, left))
            depth, left = max(depth, level + 1), left + width
        if node is root and root.grew_bytes < whole:
            label = f"not attributed, {format_size(whole - root.grew_bytes)}"
            boxes.append(_box(label, "", "rest", (1, left, _STEPS - left)))
            depth = max(depth, 1)
    return (
        f'<svg class="flame" height="{_ROW * (depth + 1)}" role="tree" aria-label="flame graph: who called whom, '
        f'as wide as what grew below it; the list after it has the same">{"".join(boxes)}</svg>'
        '<p class="info">Click a call, or press Enter on it, to see it as wide as the graph; Escape shows all again. '
        "Arrow keys go from call to call.</p>"
    )


def _call_box(profile: PeakProfile, node: CallNode, whole: int, at: tuple[int, int, int]) -> str:
    call = node.call
    assert call is not None
    label, file = _named(profile, call)
    source = f": {cut(call.source.strip(), _SOURCE)}" if call.source.strip() else ""
    told = f"{label}: {format_size(node.grew_bytes)}, {node.grew_bytes / whole:.1%} of the peak{file}{source}"
    own = "own" if call.line and not is_library(call.file) and not call.file.startswith("<") else ""
    return _box(label, told, f"{own} odd" if at[0] % 2 else own, at)


def _named(profile: PeakProfile, call: GrownCall) -> tuple[str, str]:
    """How a call is named in its box, and what of its file is not in that."""
    if not call.line:
        return cut(call.file, _PLACE), ""
    path = cut(short_path(profile, call.file), _PLACE)
    last = path.rpartition("/")[2]
    return f"{cut(call.function, _PLACE)} {last}:{call.line}".strip(), f", in {path}" if path != last else ""


def _box(label: str, told: str, kind: str, at: tuple[int, int, int], *, selected: bool = False) -> str:
    level, left, width = at
    text = safe(label)
    reach = f'aria-level="{level + 1}" tabindex="{0 if selected else -1}" aria-label="{safe(told or label)}"'
    return (
        f'<svg class="{kind.strip()}" role="treeitem" {reach} '
        f'data-x="{left}" data-w="{width}" x="{left / _STEPS:.4%}" y="{level * _ROW}" width="{width / _STEPS:.4%}" '
        f'height="{_ROW}"><rect class="box" width="100%" height="{_ROW}"/><text x="4" y="14">{text}</text></svg>'
    )


def call_list(profile: PeakProfile) -> str:
    """List the calls in the user's own files, each below its caller."""
    root = own_call_tree(profile.stacks)
    whole = max(1, profile.peaks.peak_unreclaimable)
    shown = {id(node) for _, node in largest_nodes(root, _MOST_LISTED, least=max(1, int(_LEAST_LISTED * whole)))}
    listed = _items(profile, root, shown)
    return f'<ul class="tree">{listed}</ul>' if listed else ""


def _items(profile: PeakProfile, node: CallNode, shown: set[int]) -> str:
    items = []
    for child in node.largest_first():
        if id(child) not in shown or child.call is None:
            continue
        call = child.call
        path = name(cut(short_path(profile, call.file), _PLACE))
        where = f"{name(cut(call.function, _PLACE))} {path}:{call.line}" if call.line else f"in {path}"
        source = f" {code(printable(cut(call.source.strip(), _SOURCE)))}" if call.source.strip() else ""
        below = _items(profile, child, shown)
        inner = f"<ul>{below}</ul>" if below else ""
        items.append(f'<li><span class="size">{format_size(child.grew_bytes)}</span> {where}{source}{inner}</li>')
    return "".join(items)
