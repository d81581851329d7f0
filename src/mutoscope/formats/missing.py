"""Files that are not there: told without torch, which reading them needs."""

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: the two files of an exported model
EXPORT_CONFIG = "config.json"
EXPORT_WEIGHTS = "model.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names its file and says why."""


def require_checkpoint(path: Path) -> None:
    """Whether there is a file or folder of a model.

    Raises:
        CheckpointError: if not.
    """
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint at {path}.")


def require_archive(path: Path) -> None:
    """Whether a file of a model is one that training has written, as far as its form tells.

    Raises:
        CheckpointError: if there is none, for a folder, and for a file of another kind.
    """
    if path.is_dir():
        raise CheckpointError(
            f"{path} is a folder, expected a checkpoint to train on from, e.g. {path}/checkpoints/last.ckpt."
        )
    require_checkpoint(path)
    # pipes, which would be waited for, and files that are empty or closed are the reader's matter
    readable = path.is_file() and path.stat().st_size > 0 and os.access(path, os.R_OK)
    if readable and not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"'{path}' cannot be read as a checkpoint (torn, of another kind, or holding objects that would have to be "
            "unpickled): it is no archive as torch writes them; expected a file such as checkpoints/last.ckpt of a run."
        )


def find_checkpoint(path: Path) -> Path:
    """A checkpoint or an exported folder as it is; of a run directory, the last checkpoint.

    Raises:
        CheckpointError: for a folder that holds several runs.
    """
    if not path.is_dir() or (path / EXPORT_CONFIG).is_file():
        return path
    last = path / "checkpoints" / "last.ckpt"
    if last.is_file():
        return last
    runs = sorted(found.parents[1] for found in path.glob("*/checkpoints/last.ckpt"))
    if runs:
        raise CheckpointError(f"{path} holds runs, and one is expected: {', '.join(map(str, runs))}.")
    return path


def require_exported(folder: Path) -> None:
    """Whether a folder holds the two files of an exported model.

    Raises:
        CheckpointError: if not, naming a checkpoint where there is one.
    """
    if not (folder / EXPORT_CONFIG).is_file() or not (folder / EXPORT_WEIGHTS).is_file():
        runs = sorted(folder.glob("checkpoints/*.ckpt"))
        hint = f"name the checkpoint inside, {runs[0]}" if runs else "name a checkpoint or a folder made by export"
        raise CheckpointError(f"{folder} is a folder without {EXPORT_CONFIG} and {EXPORT_WEIGHTS}; {hint}.")


def require_model(path: Path) -> None:
    """Whether there is what can be loaded as a model, as far as names and forms of files tell.

    Raises:
        CheckpointError: if not.
    """
    require_checkpoint(path)
    found = find_checkpoint(path)
    if found.is_dir():
        require_exported(found)
    else:
        require_archive(found)


def require_named(setting: str, places: Sequence[Path], what: str) -> None:
    """Whether a file or folder that a setting names is there; whether it can be read is its reader's matter.

    Args:
        setting: dotted.
        places: where it may be, what is usual first; ``~`` is the user's home.
        what: is expected there; the end of a sentence.

    Raises:
        FileNotFoundError: naming the first place and the setting.
    """
    if not any(_there(place) for place in places):
        raise FileNotFoundError(f"There is no file or folder {places[0]}, which {setting} names; expected {what}.")


def _there(path: Path) -> bool:
    try:
        return path.exists() or path.expanduser().exists()
    except (OSError, RuntimeError):
        # what may not be looked at, and homes of nobody; its reader says more
        return True


def require_halves(model: Mapping[str, Any]) -> None:
    """Whether what a model begins with, part by part (``start_from``), is there; a resumed run needs none of it.

    Raises:
        CheckpointError: if not.
    """
    parts = model.get("start_from")
    for part, path in parts.items() if isinstance(parts, Mapping) else ():
        if path is not None and not Path(path).expanduser().exists():
            raise CheckpointError(
                f"There is no model at {path}, which model.start_from.{part} names; train or export it first, or name "
                "another."
            )
