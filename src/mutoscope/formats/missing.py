"""Model files that are not there: told without torch, which reading them needs."""

from collections.abc import Mapping
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
