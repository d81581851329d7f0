"""Pickles of strangers, read for lists, dictionaries, numbers and texts alone.

A pickle is a program that may call anything. Its instructions are listed here, which runs none of them, and those that
build plain data are carried out by hand; everything else is refused by name.
"""

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from mutoscope.formats.plain_files import PlainFileError, check_extent, read_bytes, shown
from mutoscope.formats.sources import FileError, reason

#: of a file at most, and of the values in it
_LIMIT, _MOST_VALUES = 2**25, 4_000_000
#: instructions that put their own argument on the stack
_VALUES = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    }
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEUTRAL = frozenset({"PROTO", "FRAME"})
_REMEMBERS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_RECALLS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PlainPickleError(FileError):
    """A pickle that is damaged, too large, or more than plain data."""


class _Mark:
    """Stands on the stack where the parts of a list or dictionary begin."""


def read_plain_pickle(path: Path) -> Any:
    """What a pickle of plain data holds; nothing in it is imported, called or built.

    Returns:
        Lists, tuples, dictionaries with texts or numbers as keys, numbers, texts, booleans and ``None``.

    Raises:
        PlainPickleError: for anything else, with the place in the file.
    """
    try:
        data = read_bytes(path, _LIMIT)
    except PlainFileError as error:
        raise PlainPickleError(path, str(error)) from None
    return parse_plain_pickle(data, path)


def parse_plain_pickle(data: bytes, path: Path) -> Any:
    """The same of the content of a file, whose name is for errors."""
    value = _carried_out(data, path)
    try:
        check_extent(value, "it", max_values=_MOST_VALUES)
    except PlainFileError as error:
        raise PlainPickleError(path, str(error)) from None
    return value


def _carried_out(data: bytes, path: Path) -> Any:
    machine, place = _Machine(), 0
    try:
        for instruction, argument, at in pickletools.genops(data):
            place = at or 0
            if instruction.name == "STOP":
                return machine.only()
            machine.do(instruction.name, argument)
    except _RefusedError as refused:
        raise PlainPickleError(path, str(refused), f"byte {place}") from None
    # listing the instructions of a damaged file raises nearly everything
    except Exception as error:
        raise PlainPickleError(path, f"it is no pickle that is whole ({reason(error)}).", f"byte {place}") from None
    raise PlainPickleError(path, "it ends before its last instruction; fetch it again.", f"byte {place}")


class _RefusedError(Exception):
    """Says what a pickle wants that is not done here."""


class _Machine:
    """Stack and memory of a pickle that builds plain data."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def only(self) -> Any:
        if len(self.stack) != 1 or isinstance(self.stack[0], _Mark):
            raise _RefusedError(f"it ends with {len(self.stack)} values, expected one; fetch it again.")
        return self.stack[0]

    def do(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self.stack.append(tuple(reversed([self._pop() for _ in range(_TUPLES[name])])))
        elif name in _REMEMBERS:
            self.memory[argument] = self._top()
        elif name in _RECALLS:
            if argument not in self.memory:
                raise _RefusedError(f"it recalls entry {shown(argument)}, which it never made; fetch it again.")
            self.stack.append(self.memory[argument])
        elif name in self._BUILDERS:
            self._BUILDERS[name](self)
        elif name not in _NEUTRAL:
            wish = f" ({' '.join(str(argument).split())[:80]})" if argument is not None else ""
            raise _RefusedError(
                f"it asks for {name}{wish}, which may run anything; expected lists, dictionaries, numbers and texts "
                "alone. Save it again as plain lists."
            )

    def _top(self) -> Any:
        if not self.stack or isinstance(self.stack[-1], _Mark):
            raise _RefusedError("it takes more than it has; fetch it again.")
        return self.stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self.stack.pop()

    def _since_mark(self) -> list[Any]:
        parts = []
        while self.stack and not isinstance(self.stack[-1], _Mark):
            parts.append(self.stack.pop())
        if not self.stack:
            raise _RefusedError("it takes more than it has; fetch it again.")
        self.stack.pop()
        return parts[::-1]

    def _mark(self) -> None:
        self.stack.append(_Mark())

    def _memoize(self) -> None:
        self.memory[len(self.memory)] = self._top()

    def _empty_list(self) -> None:
        self.stack.append([])

    def _empty_dict(self) -> None:
        self.stack.append({})

    def _list(self) -> None:
        self.stack.append(self._since_mark())

    def _tuple(self) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _dict(self) -> None:
        parts = self._since_mark()
        self.stack.append({})
        self._fill(parts)

    def _append(self) -> None:
        self._extend([self._pop()])

    def _appends(self) -> None:
        self._extend(self._since_mark())

    def _set_item(self) -> None:
        value = self._pop()
        self._fill([self._pop(), value])

    def _set_items(self) -> None:
        self._fill(self._since_mark())

    def _extend(self, parts: list[Any]) -> None:
        if not isinstance(self._top(), list):
            raise _RefusedError("it appends to something that is no list; fetch it again.")
        self.stack[-1].extend(parts)

    def _fill(self, parts: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(parts) % 2:
            raise _RefusedError("it sets entries of something that is no dictionary; fetch it again.")
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if not isinstance(key, str | int | float):
                raise _RefusedError(f"a name in it is {shown(key)}, expected a text or a number.")
            target[key] = value

    _BUILDERS: ClassVar[dict[str, Callable[["_Machine"], None]]] = {
        "MARK": _mark,
        "MEMOIZE": _memoize,
        "EMPTY_LIST": _empty_list,
        "EMPTY_DICT": _empty_dict,
        "LIST": _list,
        "TUPLE": _tuple,
        "DICT": _dict,
        "APPEND": _append,
        "APPENDS": _appends,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
    }
