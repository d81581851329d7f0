"""``weights``: what published networks there are, whether they lie here, and how they get here."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from mutoscope.formats.weights import damage, fetch_weights, folders, present, published
from mutoscope.formats.weights_manifest import MANIFEST, Published
from mutoscope.runtime.console import say
from mutoscope.runtime.download import sha256_of
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing


def list_weights() -> None:
    """Print the manifest: every file, whether it is here, how large it is, its licence and what needs it."""
    table = Table(title=f"Weights, looked for in {', '.join(map(str, folders()))}")
    for heading in ("name", "here", "MiB", "licence", "used by"):
        table.add_column(heading, overflow="fold")
    for entry in MANIFEST.values():
        size = "?" if entry.about is None else f"{entry.about:.0f}"
        here = "yes" if present(entry.name) is not None else "no"
        table.add_row(entry.name, here, size, entry.licence, ", ".join(entry.used_by))
    say(table)
    say("mutoscope weights fetch NAME ... brings them; mutoscope weights verify checks those that are here.")


def fetch(names: Sequence[str]) -> list[Path]:
    """Fetch published weights, each once.

    Raises:
        ValueError: for a name that is none.
        DownloadError: if one does not come, or is not what it should be; those before it stand.
    """
    for name in names:
        published(name)
    paths = []
    for name in names:
        paths.append(fetch_weights(name))
        say(f"{name}: {paths[-1]}, {published(name).licence}.")
    return paths


def verify(names: Sequence[str]) -> bool:
    """Compare files with what is known of them, and say what came out; whether none is damaged.

    Args:
        names: those to look at, which must be here; none means all that are here.

    Raises:
        ValueError: for a name that is none.
    """
    sound = True
    for name in names or MANIFEST:
        entry, path = published(name), present(name)
        if path is None:
            if names:
                sound = False
                say(f"{name}: not here; mutoscope weights fetch {name} brings it.")
        elif (wrong := damage(entry, path)) is not None:
            sound = False
            say(f"{name}: {path} is damaged, or another file: {wrong}. Remove it and fetch it again.")
        else:
            say(f"{name}: {path} is as it should be; known by: {entry.known_by}; SHA-256 {sha256_of(path)}.")
    if not names and not any(map(present, MANIFEST)):
        say("None of the published networks is here; mutoscope weights list tells where they are looked for.")
    return sound


def import_weights(path: Path, name: str | None = None) -> Path:
    """Put a file that was brought by hand where weights are looked for, after checking it.

    Args:
        path: the file.
        name: which weights it is; by its file name where that is a published one.

    Raises:
        ConfigError: if there is no such file, it cannot be told which it is, or it is not what it should be.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.")
    entry = _recognised(path) if name is None else published(name)
    if (wrong := damage(entry, path)) is not None:
        raise ConfigError(f"{path} is not the published {entry.file}: {wrong}. Nothing was changed.")
    target = folders()[0] / entry.file
    if path.resolve() != target.resolve():
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)
    say(f"{entry.name}: {target}; known by: {entry.known_by}.")
    return target


def _recognised(path: Path) -> Published:
    for entry in MANIFEST.values():
        # a copy with the same digest in its name is the same file
        if path.name == entry.file or (entry.sha256 and f"-{entry.sha256[:8]}." in path.name):
            return entry
    raise ConfigError(
        f"{path.name} is no name of published weights; say which they are: mutoscope weights import {path} NAME, with "
        f"one of {', '.join(MANIFEST)}."
    )
