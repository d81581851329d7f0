"""Weights of torchvision's ImageNet backbones, from files that lie here."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mutoscope.formats.weights import find_weights, folders, present
from mutoscope.runtime.download import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

#: architectures whose weights torchvision publishes, as the manifest calls them
ARCHITECTURES = ("alexnet", "squeezenet1_1", "vgg16", "vgg19")
_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth$")


def backbone_weights(architecture: str, path: str | Path | None = None) -> "dict[str, Tensor]":
    """The convolutional part of a backbone, a state dictionary of ``features.*`` on the CPU.

    Args:
        architecture: one of :data:`ARCHITECTURES`.
        path: a ``.pth`` or ``.safetensors`` file; ``None`` looks as :func:`find_backbone` does. A digest in the file's
            name (``vgg19-dcbb9e9d.pth``) must be that of its content.

    Raises:
        MissingWeightsError: if there is no such file.
        ValueError: if the architecture is unknown, or the file is damaged or holds something else.
    """
    # whether a file is there is told without these, which take seconds to import
    from torch import Tensor

    from mutoscope.formats.state_dicts import read_plain

    if architecture not in ARCHITECTURES:
        raise ValueError(f"There are no weights for '{architecture}'; known backbones: {', '.join(ARCHITECTURES)}.")
    file = find_backbone(architecture, path)
    digest = _DIGEST.search(file.name)
    if digest and not sha256_of(file).startswith(digest[1]):
        raise ValueError(
            f"{file} is damaged: its content does not match the digest {digest[1]} in its name. Download it anew."
        )
    state = read_plain(file)
    features = {key: x for key, x in state.items() if key.startswith("features.")} if isinstance(state, dict) else {}
    if not features or not all(isinstance(x, Tensor) for x in features.values()):
        raise ValueError(f"{file} holds no tensors called 'features.*', expected a state dictionary of {architecture}.")
    return features


def find_backbone(architecture: str, path: str | Path | None) -> Path:
    """Where the weights lie that :func:`backbone_weights` reads; see :func:`~mutoscope.formats.weights.find_weights`.

    Beside the published file, another one of the architecture in the cache of ``torch.hub`` will do.

    Raises:
        MissingWeightsError: if there is no such file.
        DownloadError: if it was to be fetched and that failed.
    """
    if path is None and present(architecture) is None:
        for folder in folders():
            if found := sorted(folder.glob(f"{architecture}-*.pth")):
                return found[0]
    return find_weights(architecture, path)
