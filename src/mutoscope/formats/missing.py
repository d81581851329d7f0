"""Model files that are not there: told without torch, which reading them needs."""

from pathlib import Path


class NoCheckpointError(FileNotFoundError):
    """A checkpoint that is not there."""


def require_checkpoint(path: Path) -> None:
    """Whether there is a file or folder of a model.

    Raises:
        NoCheckpointError: if not.
    """
    if not path.exists():
        raise NoCheckpointError(f"There is no checkpoint at {path}.")
