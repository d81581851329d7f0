"""Files of recorded tensors, and which of their outputs a replay has compared."""

import json
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import safe_open
from torch import Tensor


class Recorded:
    """A file of recorded tensors that remembers which outputs were compared.

    What was recorded in half precision is handed out in single precision. ``config`` holds the file's metadata and, in
    their place where both are there, the entries of its ``config``.

    Args:
        path: of a ``.safetensors`` file.
    """

    #: beginnings of the names of outputs
    outputs: ClassVar[tuple[str, ...]] = ("out/",)

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            self.config = {**metadata, **json.loads(metadata.get("config", "{}"))}
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        self.unread = {key for key in self.tensors if key.startswith(self.outputs)}

    def __getitem__(self, key: str) -> Tensor:
        x = self.tensors[key]
        return x.float() if x.dtype == torch.float16 else x

    def __contains__(self, key: str) -> bool:
        return key in self.tensors

    def under(self, prefix: str) -> dict[str, Tensor]:
        """All tensors whose names begin with ``prefix``, by the rest of their names."""
        return {key.removeprefix(prefix): self[key] for key in self.tensors if key.startswith(prefix)}

    def compare(self, key: str, found: Tensor, *, atol: float, rtol: float) -> None:
        """Compare one output, which may have been recorded with other dimensions of size one."""
        self.unread.discard(key)
        expected, found = self[key], found.detach()
        found = found.reshape(expected.shape) if found.squeeze().shape == expected.squeeze().shape else found
        where = f"{self.path.name}, {key}"
        torch.testing.assert_close(found, expected, atol=atol, rtol=rtol, msg=lambda text: f"{where}: {text}")
