"""Files of tensors that strangers wrote: state dictionaries of other programs, read without running what is in them."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


def read_plain(path: str | Path) -> Any:
    """What a ``.safetensors`` or torch file holds, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, of another kind, or holds objects that would have to be unpickled.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{path}'.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # damaged bytes fail in a dozen ways, and torch's own words advise to unpickle what must not be unpickled
        raise ValueError(
            f"'{path}' cannot be read as a file of plain tensors ({type(error).__name__}): it is damaged, of another "
            "kind, or holds objects that would have to be unpickled."
        ) from error


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
        ValueError: if it is anything but tensors by name.
    """
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise ValueError(f"{what} holds no plain state dictionary; expected names with tensors.")
    return dict(content)
