"""Refuse NaN and infinity anywhere inside a record, at the price of a few additions.

The JSON encoder itself writes both as null, a silent "not computable". So the numbers of a record
are summed first, in C: the sum is finite when all of them are. Only when it is not is the record
walked through, to name the field.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from volgauge.errors import PublishError

_NAMES = ("expiry", "tenor", "label", "strike")
"""Fields that tell a reader which item of a list is meant."""


def refuse_non_finite(record: msgspec.Struct) -> None:
    """Let a record pass whose every number is finite.

    Raises:
        PublishError: A number is NaN or infinite; the message names the field.
    """
    total = sum(filter(None, _numbers(record)))
    # x - x is 0 for every finite x and NaN otherwise: one test for NaN and both infinities.
    if total - total == 0.0:
        return
    for where, number in _walk(record, ""):
        if number - number != 0.0:
            raise PublishError(f"expected a finite {where}, received {number}")


class _Plan(NamedTuple):
    """Where the numbers of a struct are."""

    read: Callable[[Any], Iterable[float | None]]
    """Its own float fields."""
    nested: tuple[tuple[str, "Callable[[Any], Iterable[float | None]]"], ...]
    """Fields that hold more, and how to read all numbers inside."""


def _numbers(part: msgspec.Struct) -> Iterable[float | None]:
    """Every number inside a struct."""
    plan = _plan(type(part))
    if not plan.nested:
        return plan.read(part)
    found = [plan.read(part)]
    for name, read in plan.nested:
        value = getattr(part, name)
        if value:
            found.append(read(value))
    return chain.from_iterable(found)


@cache
def _plan(part: type[msgspec.Struct]) -> _Plan:
    hints = get_type_hints(part)
    own, nested = [], []
    for name in part.__struct_fields__:
        hint = _without_none(hints[name])
        if hint is float:
            own.append(name)
        else:
            read = _reader(hint)
            if read is not None:
                nested.append((name, read))
    return _Plan(_getter(own), tuple(nested))


def _reader(hint: Any) -> Callable[[Any], Iterable[float | None]] | None:  # noqa: ANN401 - a type
    """How to read all numbers of a value of this type; None when it can hold none."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _numbers if _holds_numbers(hint) else None
    if get_origin(hint) is tuple or get_origin(hint) is dict:
        item = _without_none(get_args(hint)[0 if get_origin(hint) is tuple else 1])
        values: Callable[[Any], Iterable[Any]] = (
            iter if get_origin(hint) is tuple else lambda mapping: mapping.values()
        )
        if item is float:
            return values
        inner = _reader(item)
        if inner is not None:
            leaf = _leaf(item)
            each = leaf if leaf is not None else inner
            return lambda value: chain.from_iterable(map(each, values(value)))
    return None


def _leaf(item: Any) -> Callable[[Any], Iterable[float | None]] | None:  # noqa: ANN401 - a type
    """The getter of a struct that holds no other, so that a list of them is read in C."""
    if isinstance(item, type) and issubclass(item, msgspec.Struct):
        plan = _plan(item)
        return None if plan.nested else plan.read
    return None


def _holds_numbers(part: type[msgspec.Struct]) -> bool:
    return any(
        hint is float or _reader(hint) is not None
        for hint in map(_without_none, get_type_hints(part).values())
    )


def _getter(names: list[str]) -> Callable[[Any], Iterable[float | None]]:
    if not names:
        return lambda _: ()
    if len(names) == 1:
        only = attrgetter(names[0])
        return lambda part: (only(part),)
    return attrgetter(*names)


def _without_none(hint: Any) -> Any:  # noqa: ANN401 - a type
    """`float` of `float | None`."""
    if get_origin(hint) in {Union, UnionType}:
        kept = [one for one in get_args(hint) if one is not NoneType]
        return float if float in kept else kept[0]
    return hint


def _walk(value: Any, where: str) -> Iterator[tuple[str, float]]:  # noqa: ANN401 - any part
    """Every number inside, with its place."""
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _walk(getattr(value, name), f"{where}.{name}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{where}[{key}]")
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            names = [str(getattr(item, name)) for name in _NAMES if hasattr(item, name)]
            yield from _walk(item, f"{where}[{names[0] if names else place}]")
