"""The classifier of SA-GCN's table 2: the clip critic's trunk without its label, and a head that names the class."""

import torch
from torch import Tensor, nn

from mutoscope.nn.clip_trunk import ClipTrunk
from mutoscope.structures import Normaliser


class ClipRecognizerNet(ClipTrunk):
    """Names actions as Yu et al. 2020 (section 4.3) do: "the same network as the clip critic" up to its head.

    The paper has one channel before the head, so a clip is judged by one number per frame. Takes dataset units: the
    offset and scale of the dataset are buffers, so a state dict needs nothing beside it.

    Args:
        joints: joints per frame ``v``.
        channels: coordinates per joint ``c``.
        classes: number of classes ``K``.
        length: frames of a clip ``t``; others are refused.
        widths: of the four layers per frame.
        head_channels: channels of the convolution over time, before the head.
        normaliser: of the dataset; ``None`` keeps dataset units (until a state dict brings others).
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self,
        joints: int,
        channels: int,
        classes: int,
        *,
        length: int = 50,
        widths: tuple[int, int, int, int] = (1000, 1000, 1024, 128),
        head_channels: int = 1,
        normaliser: Normaliser | None = None,
    ) -> None:
        if min(classes, length, head_channels, *widths) < 1:
            raise ValueError(
                f"ClipRecognizerNet got classes {classes}, length {length}, head_channels {head_channels} and widths "
                f"{list(widths)}; all must be at least 1."
            )
        super().__init__(joints, channels, 0, length=length, widths=widths, outputs=head_channels)
        normaliser = normaliser or Normaliser((0.0,) * channels, (1.0,) * channels)
        self.classes, self.num_features = classes, head_channels * length
        self.register_buffer("offset", torch.tensor(normaliser.offset, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(normaliser.scale, dtype=torch.float32))
        self.head = nn.Linear(self.num_features, classes)

    def features(self, joints: Tensor) -> Tensor:
        """``joints: [b, t, v, c]`` in dataset units -> ``[b, head_channels * t]``, what the head sees.

        Raises:
            ValueError: for clips of another shape.
        """
        return self.frames_of((joints - self.offset) / self.scale).flatten(1)

    def forward(self, joints: Tensor) -> Tensor:
        """``joints: [b, t, v, c]`` in dataset units -> logits ``[b, K]``."""
        return self.head(self.features(joints))
