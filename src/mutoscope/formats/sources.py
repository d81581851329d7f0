"""Files that others wrote: what every reader makes sure of before it opens one, and the error they all raise."""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

#: numbers in files are kept as float32 sooner or later; nothing that is measured comes near its largest
LARGEST = 1e9


class FileError(ValueError):
    """A file that cannot be used; every reader has a class of its own below this one.

    Args:
        path: the file.
        detail: what was found, what was expected and what to do.
        place: where in the file, as "line 7"; nothing where it is about the whole.
    """

    def __init__(self, path: Path | str, detail: str, place: str = "") -> None:
        # the arguments stay as they are, so that the error travels between processes
        super().__init__(path, detail, place)
        self.path, self.detail, self.place = path, detail, place

    def __str__(self) -> str:
        return f"{self.path}{', ' if self.place else ''}{self.place}: {self.detail}"


def check_file(path: Path, limit: int, error: type[FileError] = FileError, missing: str = "") -> None:
    """Make sure that there is an ordinary file of a sensible size, before anything is opened that may never end.

    Args:
        path: the file.
        limit: bytes it may have.
        error: what to raise.
        missing: the whole sentence where there is none.

    Raises:
        FileNotFoundError: if there is nothing of this name.
        FileError: if it is a folder, a pipe or a device, is too large, or may not be looked at.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(missing or f"There is no file {path}.") from None
    except (OSError, ValueError) as problem:
        raise error(path, f"it cannot be looked at ({reason(problem)}); check its name and who may read it.") from None
    if not stat.S_ISREG(found.st_mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((word for test, word in kinds if test(found.st_mode)), "a device")
        raise error(path, f"it is {kind}, expected a file.")
    if found.st_size > limit:
        raise error(path, f"it has {size_of(found.st_size)}, but files of this kind have at most {size_of(limit)}.")


def reason(error: BaseException) -> str:
    """An exception in a few words on one line, for the middle of a sentence."""
    words = " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".")
    words = words if len(words) <= 160 else f"{words[:157]}..."
    return words or type(error).__name__


def size_of(count: float) -> str:
    """``1.4 KB``, ``3 GB``: bytes as people say them."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.3g} {unit}" if count < 1000 else f"{count:.0f} {unit}"


def is_number(value: object, largest: float = LARGEST) -> TypeGuard[int | float]:
    """Whether this is a finite number of sensible size; truth values and numbers written as text are none."""
    # an integer may be too large for a float, comparing it is exact
    return isinstance(value, int | float) and not isinstance(value, bool) and -largest <= value <= largest


def is_whole(value: object, largest: float = LARGEST) -> TypeGuard[int | float]:
    """Whether this is a whole number of sensible size."""
    return is_number(value, largest) and value % 1 == 0


def vectors(values: Sequence[object], count: int, largest: float = LARGEST) -> NDArray[np.float64] | None:
    """``[n, count]`` of a list of lists, or ``None`` if one of them is not that many sensible numbers."""
    for row in values:
        if not isinstance(row, list | tuple) or len(row) != count or not all(is_number(one, largest) for one in row):
            return None
    return np.array(values, dtype=np.float64).reshape(-1, count)
