"""Weights of torchvision's ImageNet backbones, from files that lie here; nothing is downloaded."""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: architecture -> the file that torchvision publishes
PUBLISHED = {
    "alexnet": "alexnet-owt-7be5be79.pth",
    "squeezenet1_1": "squeezenet1_1-b8a52dc0.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
}
_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth$")


class MissingBackboneError(FileNotFoundError):
    """There are no weights on this machine; the sentence says where they are looked for.

    Args:
        message: the sentence.
        named: whether a file was asked for by its path, which then must be there.
    """

    def __init__(self, message: str, named: bool = False) -> None:
        super().__init__(message)
        self.named = named


def backbone_weights(architecture: str, path: str | Path | None = None) -> "dict[str, Tensor]":
    """The convolutional part of a backbone, a state dictionary of ``features.*`` on the CPU.

    Args:
        architecture: a key of :data:`PUBLISHED`.
        path: a ``.pth`` or ``.safetensors`` file; ``None`` looks into the folder where ``torch.hub`` keeps what
            torchvision downloads. A digest in the file's name (``vgg19-dcbb9e9d.pth``) must be that of its content.

    Raises:
        MissingBackboneError: if there is no such file.
        ValueError: if the architecture is unknown, or the file is damaged or holds something else.
    """
    # whether a file is there is told without these, which take seconds to import
    from torch import Tensor

    from mutoscope.formats.state_dicts import read_plain

    if architecture not in PUBLISHED:
        raise ValueError(f"There are no weights for '{architecture}'; known backbones: {', '.join(PUBLISHED)}.")
    file = find_backbone(architecture, path)
    digest = _DIGEST.search(file.name)
    if digest and not _sha256(file).startswith(digest[1]):
        raise ValueError(
            f"{file} is damaged: its content does not match the digest {digest[1]} in its name. Download it anew."
        )
    state = read_plain(file)
    features = {key: x for key, x in state.items() if key.startswith("features.")} if isinstance(state, dict) else {}
    if not features or not all(isinstance(x, Tensor) for x in features.values()):
        raise ValueError(f"{file} holds no tensors called 'features.*', expected a state dictionary of {architecture}.")
    return features


def find_backbone(architecture: str, path: str | Path | None) -> Path:
    """Where the weights lie that :func:`backbone_weights` reads.

    Raises:
        MissingBackboneError: if there is no such file.
    """
    cache = _hub_folder() / "checkpoints"
    published = PUBLISHED[architecture]
    if path is not None:
        if Path(path).is_file():
            return Path(path)
        where = f"There is no file {path}"
    else:
        if (cache / published).is_file():
            return cache / published
        found = sorted(cache.glob(f"{architecture}-*.pth"))
        if found:
            return found[0]
        where = f"There is no {published} in {cache} and no path was given"
    raise MissingBackboneError(
        f"{where}. Name the file with the weights of {architecture}, or put torchvision's {published} into {cache}.",
        named=path is not None,
    )


def _hub_folder() -> Path:
    """``torch.hub.get_dir()``; by the rules of its documentation where torch has not been imported yet."""
    if (torch := sys.modules.get("torch")) is not None:
        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
