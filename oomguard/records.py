"""`dataclass`, as Python's, but its methods are made when they are first needed.

Python compiles six methods for each dataclass while its module is imported: 0.6 ms of CPU time, and a run begins with
a hundred of them, most of whose methods are never called. Here the fields are still those of Python's `dataclass`, so
that `replace`, `asdict` and `fields` work; __init__ is compiled when it is first looked up, and the methods that
compare, show and guard are not compiled at all.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import MISSING, FrozenInstanceError, fields
from functools import partial
from operator import attrgetter, eq, ge, gt, le, lt
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field, dataclass
else:

    def dataclass(cls: type | None = None, /, **flags: bool) -> Any:
        """Make a class a dataclass; the flags are those of Python's."""
        return partial(_make, **flags) if cls is None else _make(cls, **flags)


__all__ = ["dataclass"]


def _make(
    cls: type,
    *,
    frozen: bool = False,
    slots: bool = False,
    kw_only: bool = False,
    eq: bool = True,
    order: bool = False,
) -> type:
    own = vars(cls)
    cls.__doc__ = cls.__doc__ or cls.__name__  # else Python describes the arguments there, which takes 1 ms
    cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
    methods: dict[str, Any] = {"__init__": _Init(cls, frozen=frozen), "__repr__": _show}
    if eq:
        methods |= _comparison(cls, order=order)
        if not frozen:
            methods["__hash__"] = None
    if frozen:
        methods |= _guards(cls)
    if frozen and slots:  # copied and pickled by other means than setattr, which they refuse
        methods |= {"__getstate__": _get_state, "__setstate__": _set_state}
    for name, method in methods.items():
        # A class that defines __eq__ gets a __hash__ of None from Python.
        if name not in own or (name == "__hash__" and own[name] is None and "__eq__" in own):
            setattr(cls, name, method)
    return cls


class _Init:
    """Stands for __init__ until somebody looks it up."""

    def __init__(self, cls: type, *, frozen: bool) -> None:
        self._cls, self._frozen = cls, frozen

    def __get__(self, instance: object, _owner: type | None = None) -> Callable[..., None]:
        init = _compile_init(self._cls, frozen=self._frozen)
        self._cls.__init__ = init  # type: ignore[misc]
        return init if instance is None else init.__get__(instance)


class _Factory:
    """The default of a field that has a factory, as signatures show it."""

    def __repr__(self) -> str:
        return "<factory>"


def _compile_init(cls: type, *, frozen: bool) -> Callable[..., None]:
    """Assign each field, then call __post_init__."""
    values: dict[str, Any] = {"_set": object.__setattr__, "_factory": _Factory()}
    positional, keyword = ["self"], list[str]()
    body: list[str] = []
    for one in fields(cls):
        parameter, value = _assignment(one, values)
        if one.init:
            (keyword if one.kw_only else positional).append(parameter)
        if value:
            body.append(f"_set(self, {one.name!r}, {value})" if frozen else f"self.{one.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    if keyword:
        keyword.insert(0, "*")
    lines = [f"def _make({', '.join(values)}):", f" def __init__({', '.join(positional + keyword)}):"]
    lines += [f"  {line}" for line in body or ["pass"]]
    made: dict[str, Any] = {}
    exec("\n".join([*lines, " return __init__"]), vars(sys.modules[cls.__module__]), made)  # noqa: S102 - names of fields
    init: Callable[..., None] = made["_make"](**values)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {one.name: one.type for one in fields(cls) if one.init} | {"return": None}
    return init


def _assignment(one: Field[Any], values: dict[str, Any]) -> tuple[str, str]:
    """A field's parameter and the value that it gets, "" if none; what these name goes into `values`."""
    name, default = one.name, f"_default_{one.name}"
    if one.default_factory is not MISSING:
        values[default] = one.default_factory
        return f"{name}=_factory", f"{default}() if {name} is _factory else {name}" if one.init else f"{default}()"
    if one.default is not MISSING:
        values[default] = one.default
        return f"{name}={default}", name if one.init else default
    return name, name if one.init else ""


def _comparison(cls: type, *, order: bool) -> dict[str, Any]:
    names = [one.name for one in fields(cls) if one.compare]
    values: Callable[[Any], tuple[Any, ...]] = attrgetter(*names) if names[1:] else partial(_few_values, names)

    def compared(operator: Callable[[Any, Any], bool]) -> Callable[[Any, object], Any]:
        def compare(self: Any, other: object) -> Any:
            return operator(values(self), values(other)) if other.__class__ is self.__class__ else NotImplemented

        return compare

    def hash_of(self: Any) -> int:
        return hash(values(self))

    operators = {"__eq__": eq, "__lt__": lt, "__le__": le, "__gt__": gt, "__ge__": ge} if order else {"__eq__": eq}
    return {"__hash__": hash_of} | {name: compared(operator) for name, operator in operators.items()}


def _few_values(names: list[str], record: Any) -> tuple[Any, ...]:
    """Of fewer than two, of which attrgetter gives no tuple."""
    return tuple(getattr(record, name) for name in names)


def _guards(cls: Any) -> dict[str, Any]:
    names = frozenset(one.name for one in fields(cls))

    def refuse(self: Any, name: str, what: str) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot {what} field {name!r}")

    def set_field(self: Any, name: str, value: object) -> None:
        refuse(self, name, "assign to")
        super(cls, self).__setattr__(name, value)

    def delete_field(self: Any, name: str) -> None:
        refuse(self, name, "delete")
        super(cls, self).__delattr__(name)

    return {"__setattr__": set_field, "__delattr__": delete_field}


@recursive_repr()
def _show(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)
