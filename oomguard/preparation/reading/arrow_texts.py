"""Arrow's arrays of text, in whatever type they come: where the column is, how much fits, its bytes."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from oomguard.errors import BadInput
from oomguard.preparation.engines.allocators import import_arrow
from oomguard.preparation.reading.fields import paths_of
from oomguard.text import printable

import_arrow()

import pyarrow as pa  # noqa: E402

_NAMES_SHOWN = 12
_SPARE = 4 << 20  # bytes that Arrow may ask for beyond twice what it needs


def find_column(schema: Any, field: str, name: str) -> tuple[str, ...]:
    """Give the path of the column that --text-field means: the first choice that the schema has.

    Raises: BadInput where there is none, or no text.
    """
    for path in paths_of(field):
        found = schema.get_all_field_indices(path[0])
        if len(found) > 1:
            raise BadInput(
                f'{name}: {len(found)} columns "{printable(path[0])}"; the columns are: {_names(schema)}',
                do="name the column with --text-field NAME",
            )
        kind = schema.field(found[0]).type if found else None
        for step in path[1:]:
            if kind is not None:
                is_there = pa.types.is_struct(kind) and kind.get_field_index(step) >= 0
                kind = kind.field(step).type if is_there else None
        if kind is None:
            continue
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not is_text(kind) and not pa.types.is_null(kind):  # of no type: what pandas writes for no text at all
            raise BadInput(
                f'{name}: the column "{printable(".".join(path))}" holds {kind}, not strings',
                do="give the column that holds the text: --text-field NAME",
            )
        return path
    raise BadInput(
        f'{name}: no column "{printable(field)}"; the columns are: {_names(schema)}',
        do="name the column with --text-field NAME (for one of several inputs: --text-field GLOB=NAME)",
    )


def _names(schema: Any) -> str:
    names = [f'"{printable(name)}"' for name in schema.names[:_NAMES_SHOWN]]
    return (", ".join(names) or "none") + (", ..." if len(schema.names) > _NAMES_SHOWN else "")


def inner(texts: pa.Array, path: tuple[str, ...]) -> pa.Array:
    """Give what a path leads to in an array of structs; a null struct has null text."""
    if not path:
        return texts
    import pyarrow.compute as pc  # 4 MiB, for columns within others

    return pc.struct_field(texts, list(path))


def is_text(kind: Any) -> bool:
    """Whether a type holds texts: strings, or bytes that are taken as UTF-8."""
    checks = ("string", "large_string", "binary", "large_binary", "fixed_size_binary", "string_view", "binary_view")
    return any(getattr(pa.types, f"is_{check}")(kind) for check in checks)


def buffers(texts: pa.Array) -> tuple[Any, memoryview]:
    """Give the bytes of binary texts, and where each begins and the last one ends."""
    if not len(texts):
        return b"", memoryview(b"\0" * 4).cast("i")
    data = texts.buffers()[2]
    return (memoryview(data) if data is not None else b""), _places(texts)


def _places(texts: pa.Array) -> memoryview:
    """Where each text begins in the values, and where the last one ends: int32 or int64[text_count + 1]."""
    offsets = texts.buffers()[1]
    if not len(texts) or offsets is None:
        return memoryview(b"\0" * 8).cast("q")
    is_wide = pa.types.is_large_binary(texts.type) or pa.types.is_large_string(texts.type)
    width = 8 if is_wide else 4
    first, end = texts.offset, texts.offset + len(texts) + 1
    places = memoryview(offsets).cast("B")[width * first : width * end]
    return places.cast("q") if is_wide else places.cast("i")


def fitting(texts: pa.Array, most: int, *, at_least: bool) -> int:
    """How many of the first texts have no more than `most` bytes together."""
    if pa.types.is_dictionary(texts.type):
        found = int(ends_of(texts).searchsorted(most, side="right")) if len(texts) else 0
    else:
        places = _places(plain(texts))
        found = bisect_right(places, places[0] + most, lo=1) - 1 if len(texts) else 0
    return max(found, int(at_least))


def ends_of(texts: pa.DictionaryArray) -> Any:
    """Where each text would end if all were spelled out one behind the other: int64[text_count]."""
    import numpy as np  # only for dictionaries: it takes 6 MiB

    lengths = np.diff(_offsets(texts.dictionary))
    if not len(lengths):  # all are null
        return np.zeros(len(texts), np.int64)
    return np.cumsum(lengths[_codes(texts)])


def _codes(texts: pa.DictionaryArray) -> Any:
    """The number of each text's value: int64[text_count]; 0 for a null."""
    import numpy as np

    indices = texts.indices.fill_null(0) if texts.null_count else texts.indices
    # Not to_numpy(): see import_arrow().
    values = np.frombuffer(indices.buffers()[1], np.dtype(str(indices.type)), indices.offset + len(indices))
    return values[indices.offset :].astype(np.int64)


def _offsets(texts: pa.Array) -> Any:
    """As `_places`, for texts of any type: int64[text_count + 1]."""
    import numpy as np

    return np.array(_places(plain(texts)), np.int64)


def size_of(texts: pa.Array) -> int:
    """Bytes of binary texts."""
    places = _places(texts)
    return int(places[-1] - places[0])


def require_inside(texts: pa.Array) -> None:
    """Each text lies in the buffers; whether it is UTF-8 is not looked at. Raises: ArrowInvalid."""
    if pa.types.is_dictionary(texts.type):
        require_inside(texts.dictionary)
        values = plain(texts.dictionary)
        pa.DictionaryArray.from_arrays(texts.indices, values, safe=False).validate(full=True)
    elif is_text(texts.type):
        checks = ("string", "large_string", "binary", "large_binary")
        is_plain = any(getattr(pa.types, f"is_{check}")(texts.type) for check in checks)
        (plain(texts) if is_plain else texts).validate(full=is_plain)


def plain(texts: pa.Array) -> pa.Array:
    """Give `texts: binary or large_binary[...]`."""
    if pa.types.is_dictionary(texts.type):
        texts = _spelled_out(texts)
    if pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type):
        return texts.view(pa.large_binary())
    if pa.types.is_string(texts.type) or pa.types.is_binary(texts.type):
        return texts.view(pa.binary())
    return texts.cast(pa.large_binary())  # views, fixed width; nulls of no type: few bytes, billions of rows


def _spelled_out(texts: pa.Array) -> pa.Array:
    """Decode a dictionary; where each of its values follows the one before, they are there already."""
    if not texts.null_count and len(texts):
        codes = _codes(texts)
        if int(codes[-1]) - int(codes[0]) == len(codes) - 1 and (codes[1:] - codes[:-1] == 1).all():
            return texts.dictionary.slice(int(codes[0]), len(codes))
    mean = int(_offsets(texts.dictionary)[-1]) / max(1, len(texts.dictionary))
    if len(texts) * mean <= _SPARE + 2 * int(ends_of(texts)[-1:].sum()):
        return texts.dictionary_decode()
    return _put_together(texts)


def _put_together(texts: pa.Array) -> pa.Array:
    """The same without Arrow, which asks for room for as many values of the dictionary's mean length.

    With one large value among small ones that is gigabytes for a megabyte of text.
    """
    import numpy as np

    values = plain(texts.dictionary)
    codes = texts.indices.to_pylist()
    views = {code: memoryview(values[code].as_buffer() or b"") for code in set(codes) - {None}} | {
        None: memoryview(b"")
    }
    ends = np.cumsum(np.array([len(views[code]) for code in codes], np.int64))
    offsets = pa.py_buffer(np.concatenate((np.zeros(1, np.int64), ends)))
    data = pa.py_buffer(b"".join([views[code] for code in codes]))
    valid = texts.is_valid()
    return pa.Array.from_buffers(pa.large_binary(), len(texts), [valid.buffers()[1], offsets, data], texts.null_count)
