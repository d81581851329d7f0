"""Checkpoints: plain data and tensors only, written atomically, read without unpickling anything."""

import os
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO

from mutoscope.formats.files import replacing
from mutoscope.structures import DatasetInfo


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why."""


def save_atomically(data: Any, path: Path) -> None:
    """``torch.save`` such that ``path`` holds the old content or the new, never a torn file."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(data, file)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint as plain data.

    Raises:
        CheckpointError: if the file is missing, torn, no checkpoint of this program, or would need unpickling.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name the checkpoint inside, e.g. {path}/checkpoints/last.ckpt.")
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}.")
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint (torn, or holding objects that would have to be unpickled): "
            f"{reason}"
        ) from error
    if not isinstance(data, dict) or "mutoscope" not in data:
        raise CheckpointError(f"{path} is not a checkpoint of Mutoscope; it lacks the part 'mutoscope'.")
    return cast(dict[str, Any], data)


def checkpoint_info(checkpoint: dict[str, Any]) -> DatasetInfo:
    """The dataset description a checkpoint was trained with."""
    return DatasetInfo.from_dict(checkpoint["mutoscope"]["info"])


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's way to files, through the two functions above."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        save_atomically(checkpoint, Path(path))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)
