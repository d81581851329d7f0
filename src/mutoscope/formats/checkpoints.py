"""Checkpoints: plain data and tensors only, written atomically, read without unpickling anything."""

import json
import os
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file

from mutoscope.formats.upgrades import upgraded
from mutoscope.runtime.files import replacing
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
        raise CheckpointError(
            f"{path} is a folder, expected a checkpoint to train on from, e.g. {path}/checkpoints/last.ckpt."
        )
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}.")
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's first sentence; its next ones advise to unpickle
        reason = str(error).splitlines()[0].split(". ")[0] + "." if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint (torn, or holding objects that would have to be unpickled): "
            f"{reason}"
        ) from error
    own = data.get("mutoscope") if isinstance(data, dict) else None
    if not isinstance(own, dict) or not {"config", "info", "iterations", "samples_seen"} <= set(own):
        raise CheckpointError(f"{path} is not a checkpoint of Mutoscope; it does not say what it holds.")
    own["config"] = upgraded(own["config"])
    return cast(dict[str, Any], data)


#: the two files of an exported model
EXPORT_CONFIG = "config.json"
EXPORT_WEIGHTS = "model.safetensors"
#: value of ``format`` in ``config.json``
EXPORT_FORMAT = "mutoscope-1"


def read_exported(folder: Path) -> dict[str, Any]:
    """An exported model in the layout of a checkpoint, without anything that only training needs.

    Raises:
        CheckpointError: if the folder is no export, or one of its files is damaged.
    """
    path, weights = folder / EXPORT_CONFIG, folder / EXPORT_WEIGHTS
    if not path.is_file() or not weights.is_file():
        runs = sorted(folder.glob("checkpoints/*.ckpt"))
        hint = f"name the checkpoint inside, {runs[0]}" if runs else "name a checkpoint or a folder made by export"
        raise CheckpointError(f"{folder} is a folder without {EXPORT_CONFIG} and {EXPORT_WEIGHTS}; {hint}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not readable as JSON: {error}.") from error
    if not isinstance(config, dict) or config.get("format") != EXPORT_FORMAT:
        found = config.get("format") if isinstance(config, dict) else None
        raise CheckpointError(f"{path} has the format '{found}', expected '{EXPORT_FORMAT}'; export the model anew.")
    if lacking := [key for key in ("model", "dataset", "info", "iterations", "samples_seen") if key not in config]:
        raise CheckpointError(f"{path} lacks '{lacking[0]}'; export the model anew.")
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{weights} is damaged: {error}.") from error
    own = {"config": upgraded({"model": config["model"], "dataset": config["dataset"]})}
    own |= {key: config[key] for key in ("info", "iterations", "samples_seen")}
    return {"mutoscope": own, "state_dict": state}


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
