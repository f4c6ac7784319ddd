"""Which files are no corpus, and which functions give a number: told by their names, as a reader would."""

from __future__ import annotations

import ast
import re

_SMALL = frozenset({
    "config", "configs", "cfg", "conf", "configuration", "vocab", "vocabulary", "merges", "meta", "metadata",
    "tokenizer", "encoder", "manifest", "state", "progress", "checkpoint", "ckpt", "index", "stats", "statistics",
    "special", "schema", "template", "prompt", "license", "readme", "settings", "params", "hparams", "version",
    "requirements", "stopwords", "blocklist", "blacklist", "whitelist", "labels", "mapping", "lock", "proc", "sys",
    "etc", "secrets", "credentials", "ranks", "bpe", "report", "summary", "log", "args", "options", "env", "yaml",
    "yml", "toml", "ini", "css", "html", "spm", "completions", "done", "offsets", "names", "cursor",
})  # fmt: skip
_SMALL_ENDINGS = tuple(
    f".{ending}" for ending in ("yaml", "yml", "toml", "ini", "cfg", "md", "model", "tiktoken", "bpe", "lock")
)
_WORDS = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+")
_NUMBERS = re.compile(
    r"^_?(count|num|n_|is_|has_|score|hash|len|size|total|check|crc|md5|sha|digest|write|save|log|print|update)",
    re.IGNORECASE,
)


def is_small_file(*hints: str) -> bool:
    """Whether these texts (a path's expression, the name it is given to) speak of a file that is no corpus."""
    for hint in hints:
        if any(ending in hint.lower() for ending in _SMALL_ENDINGS):
            return True
        if any(word.lower() in _SMALL for word in _WORDS.findall(hint)):
            return True
    return False


def gives_a_number(name: str) -> bool:
    """Whether a function of this name gives something small for each document."""
    return bool(_NUMBERS.match(name.rpartition(".")[2]))


def path_name(node: ast.AST | None) -> str:
    """Give what a path's expression says of the file itself: its last part, without the folders before it."""
    if isinstance(node, ast.Constant):
        text = node.value if isinstance(node.value, str) else ""
        return "proc" if text.startswith(("/proc/", "/sys/", "/etc/")) else text.rstrip("/").rpartition("/")[2]
    if isinstance(node, ast.Name):
        return "config" if node.id == "__file__" else node.id  # a script that reads itself
    if isinstance(node, ast.Attribute):
        return node.attr if node.attr not in ("name", "path", "value", "parent") else path_name(node.value)
    if isinstance(node, ast.BinOp):
        return path_name(node.right)
    if isinstance(node, ast.JoinedStr):
        return " ".join(path_name(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return path_name(node.value)
    if isinstance(node, ast.Subscript):
        return path_name(node.slice) or path_name(node.value)
    if isinstance(node, ast.Call):
        own = "/proc/" in ast.unparse(node) or "/sys/" in ast.unparse(node)
        return "proc" if own else path_name(node.args[-1]) if node.args else path_name(node.func)
    return ""
