"""Which files are no corpus, and which functions give a number: told by their names, as a reader would."""

from __future__ import annotations

import ast
import re
import sys

_SMALL = frozenset({
    "config", "configs", "cfg", "conf", "configuration", "vocab", "vocabulary", "merges", "meta", "metadata",
    "tokenizer", "encoder", "manifest", "state", "progress", "checkpoint", "ckpt", "index", "stats", "statistics",
    "special", "schema", "template", "prompt", "license", "readme", "settings", "params", "hparams", "version",
    "requirements", "stopwords", "blocklist", "blacklist", "whitelist", "labels", "mapping", "lock", "proc", "sys",
    "etc", "secrets", "credentials", "ranks", "bpe", "report", "summary", "args", "options", "env", "yaml",
    "yml", "toml", "ini", "css", "spm", "completions", "done", "offsets", "names", "cursor", "splits",
    "schemas", "tasks", "categories", "classes", "keywords", "languages", "patterns", "rules", "stopword", "taxonomy",
    "whitelists", "blacklists", "vocabs", "templates", "prompts", "weights", "fonts",
})  # fmt: skip
_SMALL_ENDINGS = re.compile(r"\.(yaml|yml|toml|ini|cfg|md|model|tiktoken|bpe|lock|py)(?!\w)", re.IGNORECASE)
_FORMATS = frozenset({"yaml", "yml", "toml", "ini", "bpe", "spm"})
_SMALL_FOLDERS = frozenset({"splits", "config", "configs", "schema", "schemas", "vocab", "vocabs", "meta", "metadata"})
_WORDS = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+")
_NUMBERS = re.compile(
    r"^_?(count|num|n_|is_|has_|score|hash|len|size|total|check|crc|md5|sha|digest|write|save|log|print|update)",
    re.IGNORECASE,
)


def is_small_file(*hints: str) -> bool:
    """Whether these texts (a path's expression, the name it is given to) speak of a file that is no corpus."""
    for hint in hints:
        if _SMALL_ENDINGS.search(hint):
            return True
        if any(word.lower() in _SMALL for word in _WORDS.findall(hint)):
            return True
    return False


def is_named_settings(*hints: str) -> bool:
    """Whether a word of these says that they are settings: an ending as .yaml says only how they are written."""
    return any(word.lower() in _SMALL - _FORMATS for hint in hints for word in _WORDS.findall(hint))


def gives_a_number(name: str) -> bool:
    """Whether a function of this name gives something small for each document."""
    return bool(_NUMBERS.match(name.rpartition(".")[2]))


def path_name(node: ast.AST | None) -> str:
    """Give what a path's expression says of the file itself: its last part, without the folders before it."""
    if isinstance(node, ast.Constant):
        text = node.value if isinstance(node.value, str) else ""
        if text.startswith(("/proc/", "/sys/", "/etc/")) or _SMALL_FOLDERS.intersection(text.split("/")[:-1]):
            return "config"
        return text.rstrip("/").rpartition("/")[2]
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


_MEMORY = "/dev/shm"  # noqa: S108 - looked for in scripts, and never used


def is_in_memory(path: object) -> bool:
    """Whether a path's text says that it is in /dev/shm, whose files are memory."""
    return isinstance(path, str) and _MEMORY in path


# What the functions of libraries do, as far as their names say.
_READS = re.compile(
    r"(^|_)(load|read|open|iter|stream|parse|fetch|download|scan|from_file|get_data|documents?|docs|corpus|dataset|"
    r"lines|records|texts|samples|examples|reader|crawl)s?(_|$)|Reader$|Loader$|Dataset$|Corpus$|File$",
    re.IGNORECASE,
)
_NO_DATA = re.compile(
    r"model|tokenizer|processor|config|settings|checkpoint|weights|env|plugin|font|image|logger|args|argument|parser|"
    r"schema|metric|credential|secret|nlp|pipeline|extension|vocab|spacy",
    re.IGNORECASE,
)
_COLLECTS = re.compile(
    r"^_?(add|insert|append|push|put|update|extend|index|store|feed|train|enqueue|partial_fit|register|collect|"
    r"accumulate|observe|log_prob)(_|$)",
    re.IGNORECASE,
)
_WRITES = re.compile(
    r"^_?(save|dump|write|to_|export|print|log|upload|close|flush|seed|finish|commit|send|emit|info|warn|debug|error|"
    r"set_|assert|sleep|show|display|plot|makedirs|remove|exit)",
    re.IGNORECASE,
)
# Libraries of which what is not listed in libraries/ holds nothing that grows: it computes, shows or configures.
_INSIDE = frozenset({
    "numpy", "np", "tqdm", "tiktoken", "regex", "yaml", "rich", "click", "typer", "colorama", "loguru", "psutil",
    "ftfy", "dotenv", "absl", "hydra", "omegaconf", "fire", "wandb", "termcolor", "tabulate", "dateutil", "pytz",
    "requests", "torch", "setuptools", "packaging", "builtins", "__future__", "self", "cls",
    "pandas", "polars", "pyarrow", "datasets", "joblib", "six", "attr", "attrs", "humanize", "xxhash", "mmh3", "emoji",
    "orjson", "ujson", "simplejson", "zstandard", "lz4", "smart_open", "fsspec", "unidecode", "ray", "jieba",
    "lmdb", "h5py", "zarr", "plyvel", "rocksdict", "boto3", "botocore", "s3fs", "sqlalchemy",
})  # fmt: skip
_SHORT_KEYS = frozenset({
    "id", "_id", "uid", "uuid", "url", "uri", "score", "label", "len", "length", "hash", "md5", "lang", "language",
    "timestamp", "date", "time", "year", "n", "count", "size", "token_count", "num_tokens", "source", "type", "name",
    "category", "split", "subset", "index", "idx", "page", "domain", "dump", "file_path", "path", "filename", "key",
    "author", "user", "role", "stars", "quality", "level",
})  # fmt: skip
_LIST_KEYS = re.compile(
    r"(links|urls|ids|tokens|words|sentences|messages|conversations?|turns|paragraphs|answers|items|rows|data|list|"
    r"choices|options|tags|names|values|keys|entities|documents|docs|texts|lines|children|refs|references|instances|"
    r"examples|pages|sections|chunks|passages|ctxs|history|dialog(ue)?s?|utterances|candidates)$",
    re.IGNORECASE,
)


def is_outside(name: str) -> bool:
    """Whether a dotted name is of a library that nothing is known of."""
    root = name.partition(".")[0]
    return root not in _INSIDE and root not in sys.stdlib_module_names


# Functions of Python's library and of known ones that go through what they are given, and keep a piece of it.
_STEPWISE = re.compile(
    r"^(shutil\.copyfileobj|hashlib\.file_digest|os\.\w+|fcntl\.\w+|select\.\w+|contextlib\.\w+|warnings\.\w+|"
    r"builtins\.(type|isinstance|hasattr|id|repr|callable|super|vars|setattr|exit)|itertools\.(count|repeat|cycle)|"
    r"logging\.\w+|sys\.\w+|time\.\w+|random\.\w+|statistics\.(mean|fmean)|math\.fsum|signal\.\w+|asyncio\.\w+|"
    r"typing\.\w+|codecs\.(getreader|iterdecode)|io\.\w+|tokenize\.\w+|difflib\.\w+|"
    r"(numpy|np|torch|tqdm|pandas|polars|pyarrow|datasets|ray|dask)\..*)$"
)


def is_stepwise(name: str) -> bool:
    """Whether a function is known to hold no more than a piece of the file or the stream that it is given."""
    return bool(_STEPWISE.match(name)) or "." not in name


def opens_output(name: str, modes: list[object]) -> bool:
    """Whether a library's function opens something to write."""
    last = name.rpartition(".")[2]
    wanted = any(isinstance(mode, str) and re.fullmatch(r"[wax][bt+]{0,2}", mode) for mode in modes)
    return wanted or last.endswith(("Writer", "Saver", "Exporter"))


def is_no_data(name: str) -> bool:
    """Whether a function of this name loads a model or settings, and not the input."""
    return bool(_NO_DATA.search(name))


def reads(name: str) -> bool:
    """Whether a function of this name may give the input, or all of it."""
    last = name.rpartition(".")[2]
    return bool(_READS.search(last)) and not _NO_DATA.search(name)


def collects(name: str) -> bool:
    """Whether a method of this name may keep what it is given."""
    return bool(_COLLECTS.match(name.rpartition(".")[2]))


def writes(name: str) -> bool:
    """Whether a function of this name hands on what it is given, and keeps nothing."""
    return bool(_WRITES.match(name.rpartition(".")[2]))


def is_short_key(key: str) -> bool:
    """Whether a field of this name is a few bytes of a JSON object, and not its text."""
    return key.lower() in _SHORT_KEYS


def is_list_key(key: str) -> bool:
    """Whether a field of this name is a list of values."""
    return bool(_LIST_KEYS.search(key))


_DATA_FILE = re.compile(
    r"\.(txt|jsonl?|ndjson|csv|tsv|parquet|arrow|feather|gz|zst|bz2|xz|lz4|bin|npy|npz|xml|warc|wet|pkl|pickle|db|sqlite3?|"
    r"h5|hdf5|html?|tar|zip|xlsx?|orc|avro|tfrecords?|vec|idx|dat|pt)$",
    re.IGNORECASE,
)
_HOLDING_LIBRARIES = frozenset({"pandas", "polars", "pyarrow", "datasets", "ray", "dask", "fsspec"})


def is_data_file(text: str) -> bool:
    """Whether a constant is the path of a file that may be large."""
    return bool(_DATA_FILE.search(text)) and not is_small_file(text.rstrip("/").rpartition("/")[2])


def may_hold(name: str) -> bool:
    """Whether a library's unlisted functions may hold a whole input, although most of the library is known."""
    return name.partition(".")[0] in _HOLDING_LIBRARIES
