"""Model files that are not there: told without torch, which reading them needs."""

from pathlib import Path


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names its file and says why."""


def require_checkpoint(path: Path) -> None:
    """Whether there is a file or folder of a model.

    Raises:
        CheckpointError: if not.
    """
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint at {path}.")
