"""Files that are either the old ones or complete new ones, never half of one."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an exception.

    Missing folders are made; after an exception the temporary file is removed and ``path`` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def missing_folders(path: str | Path) -> list[Path]:
    """``path`` and those of its parents that do not exist yet, the deepest first."""
    path = Path(path)
    return [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of the folders, the deepest first, in which there is nothing."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def no_empty_folders(path: str | Path) -> Iterator[None]:
    """After an exception in the block, ``path`` and its parents are not left behind where they are new and empty."""
    new = missing_folders(path)
    try:
        yield
    except BaseException:
        remove_empty(new)
        raise
