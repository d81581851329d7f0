"""Checks of what people write in files by hand: is it a mapping, a number, text, and are its keys known."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mutoscope.structures.vocabulary import unknown_name

#: nothing in a graph comes near
_LARGEST = 10**15


class GraphError(ValueError):
    """An action graph that cannot mean anything; the message names the edge or object and what to do."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put the place before complaints about what is done there, as :class:`GraphError`."""
    try:
        yield
    except ValueError as error:
        raise GraphError(f"{where}: {error}") from None


def mapped(value: object, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise GraphError(f"{what} is {_shown(value)}, expected a mapping of names to values.")
    return value


def listed(value: object, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise GraphError(f"{what} is {_shown(value)}, expected a list.")
    return value


def text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise GraphError(f"{what} is {_shown(value)}, expected text; put quotes around it.")
    return value


def number(value: object, what: str) -> float:
    # True is an int
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GraphError(f"{what} is {_shown(value)}, expected a number.")
    # whole numbers have no largest, floats do
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise GraphError(f"{what} is {_shown(value)}, expected a number of sensible size.")
    return float(value)


def numbers(value: object, what: str, count: int) -> tuple[float, ...]:
    found = tuple(number(x, f"A value of {what}") for x in listed(value, what))
    if len(found) != count:
        raise GraphError(f"{what} has {len(found)} numbers, expected {count}.")
    return found


def whole(value: object, what: str) -> int:
    if number(value, what) % 1 != 0:
        raise GraphError(f"{what} is {_shown(value)}, expected a whole number.")
    return int(number(value, what))


def check_keys(values: Mapping[Any, Any], what: str, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Refuse keys that are unknown, naming the closest, and the absence of those needed."""
    for key in values:
        if key not in (*needed, *optional):
            raise GraphError(f"{what}: {unknown_name('key', str(key), (*needed, *optional))}")
    if missing := [key for key in needed if key not in values]:
        raise GraphError(f"{what} has no '{missing[0]}'; it needs {', '.join(needed)}.")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python writes no numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
