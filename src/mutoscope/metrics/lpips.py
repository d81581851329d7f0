"""LPIPS, the learned perceptual distance of Zhang et al. 2018, between generated and true frames."""

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import check_frames
from mutoscope.nn.feature_tower import freeze, layers_of, stages

Backbone = Literal["alex", "squeeze", "vgg"]


class _Tower(NamedTuple):
    """A torchvision model, the layers of its ``features`` after which features are compared, and their channels."""

    model: str
    taps: tuple[int, ...]
    channels: tuple[int, ...]


TOWERS: dict[Backbone, _Tower] = {
    "alex": _Tower("alexnet", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
    "squeeze": _Tower("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512)),
    "vgg": _Tower("vgg16", (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
}

#: frames whose shorter side is below this are enlarged to it: the first layers subsample by up to 16
_SMALLEST = 64


class LPIPSNetwork(nn.Module):
    """Distance of image pairs: squared differences of unit features, weighted per channel and averaged over space.

    Channel weights are the published ones (version 0.1). There is nothing random in it: both state dicts must fit.

    Args:
        net: which backbone.
        backbone: state dict of torchvision's AlexNet, SqueezeNet 1.1 or VGG-16; keys outside ``features.`` are ignored.
        heads: state dict of the channel weights, ``lin<i>.model.1.weight`` ``[1, c, 1, 1]`` for every tap.

    Raises:
        ValueError: for an unknown backbone or a state dict of something else.
    """

    mean: Tensor
    std: Tensor
    #: what protocols name in place of a hash of the weights, where it is set
    digest: str | None = None

    def __init__(self, net: Backbone, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> None:
        super().__init__()
        if net not in get_args(Backbone):
            raise ValueError(f"net is '{net}', expected one of {', '.join(get_args(Backbone))}.")
        self.net = net
        tower = TOWERS[net]
        layers = layers_of(tower.model, tower.taps[-1])
        freeze(layers, backbone, f"torchvision's {tower.model}")
        self.taps, self.layers = tower.taps, layers
        for i, channels in enumerate(tower.channels):
            name = f"lin{i}.model.1.weight"
            if name not in heads or heads[name].numel() != channels:
                raise ValueError(f"The channel weights have no {name} for {channels} channels; they are not for {net}.")
            self.register_buffer(f"head{i}", heads[name].detach().float().reshape(1, channels, 1, 1).clone())
        # statistics of the training images of Zhang et al., for values in -1..1
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("std", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """``a, b: [n, 3, h, w]`` RGB in -1..1 -> ``[n]`` distances."""
        x = (torch.cat([a, b]) - self.mean) / self.std
        distance = a.new_zeros(len(a))
        for i, stage in enumerate(stages(self.layers, self.taps)):
            x = stage(x)
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            first, second = unit.chunk(2)
            distance = distance + ((first - second).square() * self.get_buffer(f"head{i}")).sum(dim=1).mean(dim=(1, 2))
        return distance


class LPIPS(RunningAverage):
    """LPIPS of generated videos, averaged over the frames of a video and then over videos (spec section 9).

    Frames whose shorter side is below 64 pixels are first enlarged to 64 (bilinear).

    Args:
        network: with loaded weights, see :class:`LPIPSNetwork`.
        skip_first: leave out the given first frame. The paper counts it, at distance 0: 1/16 of its clips.
        chunk: frame pairs that go through the network at once.
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(self, network: LPIPSNetwork, skip_first: bool = False, chunk: int = 64) -> None:
        super().__init__("video")
        if chunk < 1:
            raise ValueError(f"chunk is {chunk}, expected at least 1.")
        self.network, self.skip_first, self.chunk = network, skip_first, chunk
        which = "generated frames" if skip_first else "all frames, the given one too"
        self.meaning = (
            f"learned perceptual distance from the true frames (LPIPS, {network.net}), {which}; no unit, 0 when alike"
        )

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add videos.

        Args:
            fake_frames, real_frames: ``[b, t, 3, h, w]`` uint8 RGB; frame 0 is given.

        Raises:
            ValueError: for other types and shapes, or without a frame to compare.
        """
        check_frames(type(self).__name__, fake_frames, real_frames)
        first = int(self.skip_first)
        if fake_frames.shape[1] <= first:
            raise ValueError(f"LPIPS got videos of {fake_frames.shape[1]} frames, expected more than {first}.")
        b, t = fake_frames.shape[0], fake_frames.shape[1] - first
        pairs = [x[:, first:].flatten(0, 1).split(self.chunk) for x in (fake_frames, real_frames)]
        with torch.no_grad(), torch.autocast(fake_frames.device.type, enabled=False):
            distances = [self.network(_scaled(x), _scaled(y)) for x, y in zip(*pairs, strict=True)]
        video = torch.cat(distances).view(b, t).mean(dim=1)
        self._add(video, torch.ones_like(video, dtype=torch.bool))


def _scaled(frames: Tensor) -> Tensor:
    """``[n, 3, h, w]`` uint8 -> float in -1..1, enlarged where too small."""
    x = frames.float() / 127.5 - 1
    factor = _SMALLEST / min(x.shape[-2:])
    if factor <= 1:
        return x
    size = [max(_SMALLEST, round(side * factor)) for side in x.shape[-2:]]
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
