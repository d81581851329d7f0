"""What SA-GCN's clip critic and the classifier beside it look at clips through (Yu et al. 2020, section 3.1)."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn.narrow_conv import NarrowConv

#: of the leaky rectifiers, as released
SLOPE = 0.2


def two_layers(c_in: int, inner: int, c_out: int) -> nn.Sequential:
    """Two linear layers on the last axis, a leaky rectifier after each."""
    first, second = nn.LeakyReLU(SLOPE, inplace=True), nn.LeakyReLU(SLOPE, inplace=True)
    return nn.Sequential(nn.Linear(c_in, inner), first, nn.Linear(inner, c_out), second)


class ClipTrunk(nn.Module):
    """Four layers on every frame, with room for a condition between them, then a convolution over time.

    Base of networks that put a head on it.

    Args:
        joints: joints per frame ``v``.
        channels: coordinates per joint ``c``.
        condition: numbers appended to every frame after the second layer; 0 for none.
        length: frames of a clip ``t``; heads depend on it.
        widths: of the two layers before the condition is appended and of the two after it.
        outputs: channels of the convolution over three frames.
    """

    def __init__(
        self,
        joints: int,
        channels: int,
        condition: int,
        *,
        length: int,
        widths: tuple[int, int, int, int],
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.joints, self.channels, self.length = joints, channels, length
        self.before = two_layers(joints * channels, *widths[:2])
        self.after = two_layers(widths[1] + condition, *widths[2:])
        self.over_time = NarrowConv(widths[3], outputs)

    def frames_of(self, clips: Tensor, condition: Tensor | None = None) -> Tensor:
        """``clips: [b, t, v, c]`` in network units, ``condition: [b, n]`` -> ``[b, t, outputs]``.

        Raises:
            ValueError: for clips of another shape.
        """
        check_clips(clips, (self.length, self.joints, self.channels))
        x = self.before(clips.flatten(2))
        return self.over_time(self.after(x) if condition is None else conditioned(self.after, x, condition))


def conditioned(layers: nn.Sequential, features: Tensor, condition: Tensor) -> Tensor:
    """``layers`` of features ``[b, t, d]`` with the condition ``[b, n]`` appended in every frame.

    What the first layer makes of the condition is the same in all frames and computed once.
    """
    first = cast(nn.Linear, layers[0])
    of_features, of_condition = first.weight.split([features.shape[2], condition.shape[1]], dim=1)
    x = F.linear(features, of_features)
    x = x.add_(F.linear(condition.to(features.dtype), of_condition, first.bias)[:, None])
    return cast(Tensor, layers[1:](x))


def check_clips(x: Tensor, expected: tuple[int, int, int]) -> None:
    """Raise ``ValueError`` unless ``x`` is ``[b, *expected]``."""
    if x.ndim != 4 or x.shape[1:] != expected:
        raise ValueError(f"Clips have shape {tuple(x.shape)}, expected [b, {', '.join(map(str, expected))}].")
