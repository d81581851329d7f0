"""Where published weights lie on this machine, and how they get there: fetched only when somebody asked for it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from mutoscope.formats.weights_manifest import MANIFEST, Published
from mutoscope.runtime.console import say
from mutoscope.runtime.download import download, sha256_of

#: environment variable with the folder that is looked into first
FOLDER = "MUTOSCOPE_WEIGHTS"
#: in place of a file of weights: draw them
SMOKE = "smoke"

_fetching: ContextVar[bool] = ContextVar("fetching", default=False)


class MissingWeightsError(FileNotFoundError):
    """There are no weights on this machine; the sentence says where they are looked for and where they come from.

    Args:
        message: the sentence.
        named: whether a file was asked for by its path, which then must be there.
    """

    def __init__(self, message: str, named: bool = False) -> None:
        super().__init__(message)
        self.named = named


@contextmanager
def fetching(asked: bool) -> Iterator[None]:
    """Inside, weights that are not on this machine are fetched from their official address, if that was ``asked``."""
    token = _fetching.set(asked or _fetching.get())
    try:
        yield
    finally:
        _fetching.reset(token)


def folders() -> list[Path]:
    """Where weights are looked for: ``$MUTOSCOPE_WEIGHTS``, then the folder where ``torch.hub`` keeps downloads."""
    own = os.environ.get(FOLDER)
    return [*([Path(own)] if own else []), _hub_folder() / "checkpoints"]


def _hub_folder() -> Path:
    """``torch.hub.get_dir()``; where torch, which takes seconds, is not imported yet, by the rules it documents."""
    if (torch := sys.modules.get("torch")) is not None:
        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def published(name: str) -> Published:
    """The entry of the manifest.

    Raises:
        ValueError: naming those that there are.
    """
    if name not in MANIFEST:
        raise ValueError(f"There are no weights called '{name}'; known ones: {', '.join(MANIFEST)}.")
    return MANIFEST[name]


def present(name: str) -> Path | None:
    """The file of published weights on this machine, if it is there."""
    entry = published(name)
    for folder in folders():
        if (folder / entry.file).is_file():
            return folder / entry.file
    return None


def find_weights(name: str, path: str | Path | None = None) -> Path:
    """The file with published weights.

    Looked for are ``path``, ``$MUTOSCOPE_WEIGHTS`` and the cache of ``torch.hub``, in this order; inside
    :func:`fetching`, and without a path, what is in none of them is fetched.

    Args:
        name: in the manifest.
        path: of a file that somebody named; nothing else will do then.

    Raises:
        MissingWeightsError: if there is no such file.
        DownloadError: if it was to be fetched and that failed.
    """
    entry = published(name)
    if path is not None:
        if Path(path).is_file():
            return Path(path)
        where = f"There is no file {path}; leave the name out to have it looked for"
    elif (found := present(name)) is not None:
        return found
    elif _fetching.get():
        return fetch_weights(name)
    else:
        where = f"There is no {entry.file} in {' nor in '.join(map(str, folders()))} and no path was given"
    size = f" ({entry.about:g} MiB)" if entry.about is not None else ""
    raise MissingWeightsError(
        f"{where}. Add weights=fetch, or run mutoscope weights fetch {entry.name}: it comes from {entry.url}{size}. "
        f"Or put the file into {folders()[0]}, or name it in the settings.",
        named=path is not None,
    )


def fetch_weights(name: str) -> Path:
    """Fetch published weights into the first of :func:`folders`; nothing is done where they are there and right.

    Raises:
        DownloadError: if they do not come, or are not what they should be.
    """
    entry = published(name)
    there = present(name)
    target = there if there is not None else folders()[0] / entry.file
    path = download(entry.url, target, entry.expected)
    if not entry.sha256 and there is None:
        say(f"{entry.file} has the SHA-256 {sha256_of(path)}; its publisher names none to compare it with.")
    return path


def damage(entry: Published, path: Path) -> str | None:
    """What tells that a file is not the one of the manifest, as far as that says; ``None`` if nothing does."""
    return entry.expected.complaint(path)
