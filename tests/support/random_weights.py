"""Files with the weights of :mod:`mutoscope.evaluators.smoke`, for comparing programs on the same ones."""

from pathlib import Path

import torch

from mutoscope.evaluators.i3d import I3D
from mutoscope.evaluators.inception_v3 import InceptionV3
from mutoscope.evaluators.smoke import drawn_weights


def inception_file(folder: Path) -> Path:
    path = folder / "inception.pth"
    torch.save(drawn_weights(InceptionV3), path)
    return path


def i3d_file(folder: Path) -> Path:
    path = folder / "i3d.pt"
    torch.save(drawn_weights(I3D), path)
    return path
