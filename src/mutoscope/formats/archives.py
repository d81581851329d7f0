"""Tensors of TorchScript archives, read as data: their programs are neither compiled nor run."""

import io
import pickle
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutoscope.formats.state_dicts import DamagedFileError

_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read_archive(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a TorchScript archive by their names, as its module's ``state_dict`` would have them.

    Returns:
        ``None`` if the file is no such archive.

    Raises:
        DamagedFileError: if it is torn, or its data name anything but modules and plain tensors.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if not any("/code/" in name for name in names):
            return None
        # programs may be compressed, weights never are; reading a part checks its checksum
        parts = [part for part in archive.infolist() if "/data" in part.filename]
        held = sum(part.file_size for part in parts)
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise DamagedFileError(f"{path} is no archive as torch writes them: its weights are compressed.")
        if held > path.stat().st_size:
            raise DamagedFileError(f"{path} claims {held:,} bytes of tensors but has {path.stat().st_size:,}.")
        data = next((name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")), None)
        if data is None:
            raise DamagedFileError(f"{path} is a TorchScript archive without data.pkl, so it holds no weights.")
        try:
            module = _DataOnly(archive, data.rpartition("/")[0]).load()
            return dict(_tensors(module, ""))
        except Exception as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise DamagedFileError(f"{path} cannot be read as the data of a TorchScript archive: {reason}.") from error


class _Module:
    """Attributes of a module of the archive."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


class _DataOnly(pickle.Unpickler):
    """Knows modules, tensors and plain values; whatever else is named is refused before it is looked for."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in _TYPES:
            return name
        if module == "torch.jit._pickle":
            # typed lists of numbers
            return lambda *values: values[0] if values else None
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither a module nor a tensor")

    def persistent_load(self, pid: Any) -> Tensor:
        _, kind, key, _, count = pid
        buffer = bytearray(self.archive.read(f"{self.folder}/data/{key}"))
        values = torch.frombuffer(buffer, dtype=_TYPES[kind]) if buffer else torch.empty(0, dtype=_TYPES[kind])
        if values.numel() < count:
            raise pickle.UnpicklingError(f"the tensor {key} claims {count} numbers and has {values.numel()}")
        return values


def _tensor(storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Tensor:
    # a view beyond the storage is refused by torch itself
    return storage.as_strided(tuple(size), tuple(stride), offset).clone()


def _tensors(module: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(module, _Module):
        raise ValueError("it does not begin with a module")
    for name, value in module.state.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")
