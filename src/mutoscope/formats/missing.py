"""Files that are not there: told without torch, which reading them needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names its file and says why."""


def require_checkpoint(path: Path) -> None:
    """Whether there is a file or folder of a model.

    Raises:
        CheckpointError: if not.
    """
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint at {path}.")


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
