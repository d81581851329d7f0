"""Checks of what people write in files by hand: is it a mapping, a number, text, and are its keys known."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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
        raise GraphError(f"{what} is an enormous number, expected a number of sensible size.")
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


def whole_between(value: object, what: str, low: int, high: int) -> int:
    """A whole number within limits; numbers without end are shown by their first digits."""
    # the number itself may have more digits than Python prints
    if isinstance(value, int) and not isinstance(value, bool) and not low <= value <= high:
        raise GraphError(f"{what} is {_shown_number(value)}, expected {low:,} to {high:,}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise GraphError(f"{what} is {value}, expected {low:,} to {high:,}.")
    found = whole(value, what)
    if not low <= found <= high:
        raise GraphError(f"{what} is {_shown_number(found)}, expected {low:,} to {high:,}.")
    return found


def _shown_number(value: int) -> str:
    return str(value) if abs(value) < 10**15 else f"about {float(value):.0e}" if abs(value) < 10**300 else "enormous"


def texts(value: object, what: str, at_most: int) -> tuple[str, ...]:
    """A list of short texts."""
    found = listed(value, what)
    if len(found) > at_most:
        raise GraphError(f"{what} has {len(found):,} entries, expected at most {at_most:,}.")
    for each in found:
        if len(text(each, f"An entry of {what}")) > 1000:
            raise GraphError(f"An entry of {what} has {len(each):,} characters, expected at most 1,000.")
    return tuple(found)


def entry(values: object, key: str | int, what: str) -> Any:
    """A field of a mapping or an entry of a list, which has to be there."""
    if isinstance(key, int):
        if key >= len(listed(values, what)):
            raise GraphError(f"{what} has {len(listed(values, what))} entries, expected more.")
        return listed(values, what)[key]
    if key not in mapped(values, what):
        raise GraphError(f"{what} has no '{key}', which is needed.")
    return mapped(values, what)[key]


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


def unknown_name(what: str, name: str, known: Sequence[str]) -> str:
    """The sentence that says that there is no such name, which ones there are, and which is the closest."""
    name = name if len(name) <= 60 else f"{name[:57]}..."
    hint = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    meant = f" Did you mean '{hint[0]}'?" if hint else ""
    return f"There is no {what} '{name}'; known: {', '.join(known)}.{meant}"
