"""What `records.dataclass` makes does what Python's `dataclass` makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from functools import partial
from operator import ge, lt
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard import records

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a", "b", "c", "d")
FLAGS = st.fixed_dictionaries(
    {"frozen": st.booleans(), "slots": st.booleans(), "kw_only": st.booleans(), "eq": st.booleans()}
).flatmap(lambda flags: st.booleans().map(lambda order: flags | {"order": order and flags["eq"]}))


@st.composite
def field_of(draw: st.DrawFn, *, needs_default: bool) -> dict[str, Any]:
    """The arguments of `dataclasses.field`, as plain values."""
    kinds = ["default", "factory"] if needs_default else ["required", "default", "factory"]
    kind = draw(st.sampled_from(kinds))
    made: dict[str, Any] = {name: draw(st.booleans()) for name in ("repr", "compare")}
    if kind == "default":
        made["default"] = draw(st.integers(0, 3))
    if kind == "factory":
        made["default_factory"] = list
    if kind != "required":
        made["init"] = draw(st.booleans())
    return made


@st.composite
def class_of(draw: st.DrawFn) -> tuple[dict[str, dict[str, Any]], dict[str, bool], dict[str, Any]]:
    """Fields, flags and methods of a dataclass."""
    flags = draw(FLAGS)
    needs_default, made = False, {}
    for name in NAMES[: draw(st.integers(1, len(NAMES)))]:  # Python 3.11 fails where a frozen class has none
        made[name] = draw(field_of(needs_default=needs_default))
        has_default = not {"default", "default_factory"}.isdisjoint(made[name])
        needs_default = (needs_default or has_default) and not flags["kw_only"]
    own: dict[str, Any] = {}
    if draw(st.booleans()):
        own["__repr__"] = lambda _: "mine"
    if draw(st.booleans()):
        own["__eq__"] = lambda self, other: self is other
    if draw(st.booleans()):
        own["__hash__"] = lambda _: 7
    return made, flags, own


def build(decorator: Callable[..., Any], made: dict[str, dict[str, Any]], flags: dict[str, bool], own: Any) -> type:
    body = {name: field(**arguments) for name, arguments in made.items()}
    annotations = dict.fromkeys(made, "object")
    names = {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Made", "__doc__": "x"}
    return decorator(**flags)(type("Made", (), {**names, **own, **body}))


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or how it fails."""
    try:
        return call()
    except (TypeError, AttributeError) as error:
        return type(error), str(error)


def what_it_does(cls: Any, values: list[int], names: list[str]) -> list[Any]:
    """All that can be seen of a class and of objects of it, in plain values."""
    positional = outcome(lambda: cls(*values))
    named = outcome(lambda: cls(**dict(zip(names, values, strict=False))))
    seen: list[Any] = [str(inspect.signature(cls)), [one.name for one in fields(cls)], cls.__hash__ is None]
    for one in (positional, named):
        if not isinstance(one, cls):
            seen.append(one)
            continue
        other = copy.copy(one)
        seen += [asdict(one), asdict(other), asdict(replace(one, **{f.name: 9 for f in fields(one) if f.init}))]
        has_own_repr = "__repr__" in vars(cls)
        seen.append(repr(one) if has_own_repr else None)
        seen += [one == other, one != other, one == 5]
        seen += [outcome(partial(hash, one)) if cls.__hash__ is not object.__hash__ else None]
        seen += [outcome(partial(lt, one, other)), outcome(partial(ge, one, 5))]
        seen.append(outcome(partial(setattr, one, "a", 5)))
        seen.append(outcome(partial(delattr, one, "a")))
        seen.append(hasattr(one, "__dict__"))
    return [text.replace(" at 0x", "") if isinstance(text, str) else text for text in seen]


@given(class_of(), st.lists(st.integers(0, 3), max_size=5), st.lists(st.sampled_from([*NAMES, "x"]), unique=True))
def test_classes_do_what_those_of_python_do(
    made: tuple[dict[str, dict[str, Any]], dict[str, bool], dict[str, Any]], values: list[int], names: list[str]
) -> None:
    """Whatever their fields, flags and own methods: arguments, errors, comparison, hash, copies, what is refused."""
    ours, theirs = build(records.dataclass, *made), build(dataclasses.dataclass, *made)
    assert what_it_does(ours, values, names) == what_it_does(theirs, values, names)


@records.dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """With a default and a factory."""

    one: int
    many: list[int] = field(default_factory=list)
    made: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        """As classes of ours do that compute a field once."""
        object.__setattr__(self, "made", "x" * self.one)


@records.dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    """Adds a field."""

    two: int = 2


class Plain(Derived):
    """Is no dataclass itself."""

    def __init__(self) -> None:
        super().__init__(one=3)


def test_a_derived_class_has_the_fields_of_both() -> None:
    made = Derived(one=1)
    assert (made.one, made.two, made.many, made.made) == (1, 2, [], "x")
    assert Plain().made == "xxx"
    assert replace(Plain.__mro__[1](one=1), two=5) == Derived(one=1, two=5)
    assert Derived(one=1) != Base(one=1)
    assert repr(made) == "Derived(one=1, many=[], two=2)"


def test_an_object_is_pickled_and_refuses_changes() -> None:
    made = pickle.loads(pickle.dumps(Derived(one=2, many=[1])))
    assert made == Derived(one=2, many=[1])
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'one'"):
        made.one = 3
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'one'"):
        del made.one


def test_the_types_of_arguments_are_known() -> None:
    """Programs that fill objects in by their types look there."""
    assert get_type_hints(Derived.__init__) == {"one": int, "many": list[int], "two": int, "return": type(None)}


def test_what_a_run_imports_takes_no_methods_of_pythons() -> None:
    """Else a start takes half a millisecond longer for each such class."""
    code = (
        "import dataclasses, sys, oomguard.cli.app, oomguard.cli.prepare, oomguard.preparation.execution\n"
        "import oomguard.supervision.supervise, oomguard.preparation.encoding.chunk_encoder\n"
        "ours = [thing for name, module in list(sys.modules.items()) if name.startswith('oomguard.')\n"
        "        for thing in vars(module).values() if isinstance(thing, type) and thing.__module__ == name]\n"
        "from oomguard.records import _Init\n"
        "made = {thing for thing in ours if '__dataclass_fields__' in vars(thing)}\n"
        "assert len(made) > 50\n"
        "print([thing for thing in made if not hasattr(vars(thing)['__repr__'], '__wrapped__')\n"
        "       and vars(thing)['__dataclass_params__'].repr])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
