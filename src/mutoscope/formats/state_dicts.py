"""Files of tensors that strangers wrote: state dictionaries of other programs, read without running what is in them."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mutoscope.formats.plain_files import file_kind


class DamagedFileError(ValueError):
    """A file of tensors that cannot be read; the message names it and says why."""


def read_plain(path: str | Path) -> Any:
    """What a ``.safetensors`` or torch file holds, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, of another kind, or holds objects that would have to be unpickled.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no checkpoint '{path}'.")
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path, zipped=False)


def read_torch(path: Path, *, zipped: bool = True) -> Any:
    """What ``torch.save`` wrote, on the CPU, as tensors and plain data.

    Args:
        path: the file.
        zipped: whether it has to be of the form that torch writes since version 1.6, with checksums of every part.

    Raises:
        DamagedFileError: if it is no such file, or bits of it have changed, or it claims more than it holds, or objects
            would have to be unpickled.
    """
    _check_file(path)
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        elif zipped:
            raise ValueError("it is no archive as torch writes them")
        return torch.load(path, map_location="cpu", weights_only=True)
    except DamagedFileError:
        raise
    except Exception as error:
        # damaged bytes fail in a dozen ways, and torch's next words advise to unpickle what must not be unpickled
        reason = str(error).splitlines()[0].split(". ")[0].rstrip(".") if str(error) else "no reason was given"
        what = "checkpoint" if zipped else "file of plain tensors"
        raise DamagedFileError(
            f"'{path}' cannot be read as a {what} (torn, of another kind, or holding objects that would have to be "
            f"unpickled): {type(error).__name__}, {reason}."
        ) from error


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        held = sum(part.file_size for part in parts)
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts) or held > path.stat().st_size:
            raise DamagedFileError(f"{path} claims {held:,} bytes of tensors but has {path.stat().st_size:,}.")
        # torch itself does not look at the checksums that it writes
        if (bad := archive.testzip()) is not None:
            raise DamagedFileError(f"{path} is damaged: the checksum of its part '{bad}' is wrong. Take another copy.")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, on the CPU.

    Raises:
        DamagedFileError: if it is none.
    """
    _check_file(path)
    try:
        return load_file(path)
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DamagedFileError(f"{path} cannot be read as a file of plain tensors, it is damaged: {reason}.") from error


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DamagedFileError(f"{path} cannot be read: {reason}.") from error
    if not path.is_file():
        raise DamagedFileError(f"{path} is {file_kind(found)}, expected a file.")
    if found.st_size == 0:
        raise DamagedFileError(f"{path} is empty; take another copy.")


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: names, types, shapes and every bit; the order does not matter."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def bytes_held(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of memory that named tensors hold, those that they share counted once."""
    storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in tensors.values()}
    return sum(storages.values())


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """A state dictionary from a ``.safetensors`` or torch file, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or holds anything but named tensors.
    """
    return named_tensors(read_plain(path), f"'{path}'")


def named_tensors(content: object, what: str) -> dict[str, Tensor]:
    """``content`` as a state dictionary.

    Args:
        content: a part of what :func:`read_plain` found.
        what: its name in the error.

    Raises:
        ValueError: if it is anything but tensors by name, or a tensor claims more numbers than it holds.
    """
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise ValueError(f"{what} holds no plain state dictionary; expected names with tensors.")
    for name, value in content.items():
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise ValueError(f"'{name}' in {what} is no plain tensor: {value.layout}, on {value.device.type}.")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(
                f"'{name}' in {what} claims the shape {list(value.shape)}, for which it has too few numbers."
            )
    return dict(content)
