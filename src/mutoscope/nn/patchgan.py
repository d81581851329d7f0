"""A discriminator that judges overlapping patches (Isola et al. 2017), with room for a condition it need not see."""

import torch.nn.functional as F
from torch import Tensor, nn

from mutoscope.nn.spectral import SpectralConv2d

KERNEL, PADDING, SLOPE = 4, 2, 0.2


class PatchGAN(nn.Module):
    """Convolutions with kernel 4 and padding 2, all but the last two with stride 2 (spec section 6).

    The first and the last convolution are plain, those between have spectral and instance norm. The input may be
    pictures and a condition of many channels; what the first convolution makes of the condition is then computed
    by the caller from :attr:`condition_weight`, however is cheapest.

    Args:
        channels: of the pictures.
        condition: channels of the condition, 0 for none.
        width: channels of the first layer; they double from layer to layer.
        layers: convolutions before the one that gives the logits.
        max_width: where doubling ends.

    Raises:
        ValueError: if ``layers`` is less than 2.
    """

    def __init__(
        self, channels: int = 3, condition: int = 0, width: int = 64, layers: int = 4, max_width: int = 512
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"A PatchGAN of {layers} layers was asked for, expected at least 2.")
        widths = [min(width * 2**i, max_width) for i in range(layers)]
        self.channels = channels
        self.first = nn.Conv2d(channels + condition, width, KERNEL, 2, PADDING)
        self.hidden = nn.ModuleList(
            SpectralConv2d(widths[i - 1], widths[i], KERNEL, 1 if i == layers - 1 else 2, PADDING, bias=False)
            for i in range(1, layers)
        )
        self.last = nn.Conv2d(widths[-1], 1, KERNEL, 1, PADDING)

    @property
    def condition_weight(self) -> Tensor:
        """``[width, condition, 4, 4]`` of the first convolution, whose stride and padding are 2."""
        return self.first.weight[:, self.channels :]

    def forward(self, images: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        """Features and logits.

        Args:
            images: ``[k * n, channels, h, w]``, ``k`` batches one after the other.
            condition: ``[n, width, h', w']``, the first convolution's response to what the condition of each of the
                ``n`` pictures is, without bias; the same for all ``k`` batches.

        Returns:
            the output of every layer ``[k * n, c, h', w']``, the last being the logits ``[k * n, 1, h', w']``.
        """
        weight = self.first.weight[:, : self.channels]
        x = F.conv2d(images, weight, self.first.bias, stride=2, padding=PADDING)
        if condition is not None:
            x = (x.unflatten(0, (-1, len(condition))) + condition).flatten(0, 1)
        features = [F.leaky_relu(x, SLOPE)]
        for convolution in self.hidden:
            features.append(F.leaky_relu(F.instance_norm(convolution(features[-1])), SLOPE))
        return [*features, self.last(features[-1])]
