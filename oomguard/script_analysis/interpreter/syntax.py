"""Small questions about a syntax tree."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Sequence


def last_name(node: ast.expr) -> str:
    """Give the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def mentions(loop: ast.AST, name: str) -> bool:
    """Say whether an attribute of this name stands in it."""
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(loop))


def is_len(node: ast.expr | None) -> TypeGuard[ast.Call]:
    """Say whether it is `len(something)`."""
    return isinstance(node, ast.Call) and last_name(node.func) == "len" and len(node.args) == 1


def is_end_of_file(limit: ast.expr) -> bool:
    """`if len(piece) == 0: break`, `if line == "": break`: that is no limit."""
    return isinstance(limit, ast.Constant) and (not isinstance(limit.value, int) or limit.value <= 0)


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Say whether it ends the loop or the function."""
    return any(isinstance(node, (ast.Break, ast.Return)) for node in body)
