"""Checkpoints: plain data and tensors only, written atomically, read without unpickling anything."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO

from mutoscope.formats.about import ExportedConfig
from mutoscope.formats.missing import EXPORT_CONFIG, EXPORT_WEIGHTS, require_archive, require_exported
from mutoscope.formats.missing import CheckpointError as CheckpointError
from mutoscope.formats.plain_files import PlainFileError, check_extent, parse_json, read_bytes, shown
from mutoscope.formats.state_dicts import DamagedFileError, digest, named_tensors, read_safetensors, read_torch
from mutoscope.formats.upgrades import upgraded
from mutoscope.runtime.files import replacing
from mutoscope.structures import DatasetInfo

#: key of the digest of all weights, in checkpoints and exports
DIGEST = "sha256"
#: what both say about their model, beside its settings
_ABOUT = ("info", "iterations", "samples_seen")


def save_atomically(data: Any, path: Path) -> None:
    """``torch.save`` such that ``path`` holds the old content or the new, never a torn file."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(data, file)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint as plain data.

    Raises:
        CheckpointError: if the file is missing, torn, no checkpoint of this program, or would need unpickling; if bits
            of it have changed since it was written; if what it says of itself is no plain data within limits.
    """
    require_archive(path)
    try:
        data = read_torch(path)
    except DamagedFileError as error:
        raise CheckpointError(str(error)) from error
    own = data.get("mutoscope") if isinstance(data, dict) else None
    if not isinstance(own, dict) or not {"config", *_ABOUT} <= set(own):
        raise CheckpointError(f"{path} is not a checkpoint of Mutoscope; it does not say what it holds.")
    _check(own, data.get("state_dict"), own.get(DIGEST), path)
    own["config"] = upgraded(own["config"])
    return cast(dict[str, Any], data)


def read_exported(folder: Path) -> dict[str, Any]:
    """An exported model in the layout of a checkpoint, without anything that only training needs.

    Raises:
        CheckpointError: if the folder is no export, or one of its files is damaged or goes beyond all limits.
    """
    path, weights = folder / EXPORT_CONFIG, folder / EXPORT_WEIGHTS
    require_exported(folder)
    try:
        content = parse_json(read_bytes(path).decode("utf-8-sig"), f"{path} is not readable as JSON")
    except (PlainFileError, UnicodeDecodeError) as error:
        raise CheckpointError(str(error) if isinstance(error, PlainFileError) else f"{path}: {error}.") from error
    exported = ExportedConfig.parse(content, str(path))
    try:
        state = read_safetensors(weights)
    except DamagedFileError as error:
        raise CheckpointError(str(error)) from error
    own: dict[str, Any] = {
        "config": {"model": exported.model, "dataset": exported.dataset},
        **{key: getattr(exported, key) for key in _ABOUT},
        "part": exported.part,
    }
    _check(own, state, exported.sha256, path)
    own["config"] = upgraded(own["config"])
    return {"mutoscope": own, "state_dict": state}


def _check(own: Mapping[str, Any], state: object, sha256: object, path: Path) -> None:
    """Whether what a file says of itself is plain, and its weights are those that were written."""
    config = own["config"]
    try:
        for name, part in {"config": config, "info": own["info"]}.items():
            check_extent(part, f"{path}: {name}")
        weights = named_tensors(state, str(path))
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(config, Mapping):
        raise CheckpointError(f"{path}: config is no mapping of names to settings.")
    for part in ("model", "dataset"):
        if not isinstance(config.get(part), Mapping):
            raise CheckpointError(f"{path} lacks the settings of its {part}; expected config.{part}.")
    for count in ("iterations", "samples_seen"):
        if not isinstance(own[count], int) or isinstance(own[count], bool) or not 0 <= own[count] < 2**63:
            raise CheckpointError(f"{path}: {count} is {shown(own[count])}, expected a whole number from 0.")
    # what was written before there were digests has none
    if sha256 is not None and sha256 != digest(weights):
        raise CheckpointError(
            f"The weights of {path} are not those that were written (their checksum differs): it is damaged, or was "
            "changed by other means. Take another copy."
        )


def checkpoint_info(checkpoint: dict[str, Any], whose: str = "The checkpoint") -> DatasetInfo:
    """The dataset description a checkpoint was trained with.

    Raises:
        CheckpointError: beginning with ``whose``, if it is none.
    """
    try:
        return DatasetInfo.from_dict(checkpoint["mutoscope"]["info"])
    except ValueError as error:
        raise CheckpointError(f"{whose}: {error}") from error


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's way to files, through the two functions above."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        own = checkpoint.get("mutoscope")
        if isinstance(own, dict):
            checkpoint = {**checkpoint, "mutoscope": {**own, DIGEST: digest(checkpoint["state_dict"])}}
        save_atomically(checkpoint, Path(path))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)
