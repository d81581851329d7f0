"""VideoMAE V2's encoder, the network behind content-debiased FVD (Wang et al. 2023; Ge et al. 2024).

A plain vision transformer over tubelets of 2 frames by 14x14 pixels, pretrained by filling in hidden ones, so that it
looks at how things move and not at what is there alone. Names of layers are those of its publisher's state dictionary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: width and height of what the network sees, frames of a clip
SIDE, FRAMES = 224, 16
#: sides of a patch in pixels, frames of a tubelet
PATCH, TUBELET = 14, 2
#: constant of layer normalisation
_EPS = 1e-6


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        # keys have no bias, which would change nothing
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        query, key, value = F.linear(x, self.qkv.weight, bias).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class _Perceptron(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, _EPS), nn.LayerNorm(width, _EPS)
        self.attn, self.mlp = _Attention(width, heads), _Perceptron(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Tubelets(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        size = (TUBELET, PATCH, PATCH)
        self.proj = nn.Conv3d(3, width, size, stride=size)

    def forward(self, clips: Tensor) -> Tensor:
        return self.proj(clips).flatten(2).transpose(1, 2)


class VideoMAE(nn.Module):
    """The encoder; by default ViT-g, a thousand million parameters.

    ``forward`` takes ``[n, 3, 16, 224, 224]`` in 0..1 and gives the normalised mean over tubelets, ``[n, width]``; of a
    classifier that was trained on it, the last layer is left out.

    Args:
        width, depth, heads, hidden: of the transformer; ``hidden`` of its perceptrons.
    """

    def __init__(self, width: int = 1408, depth: int = 40, heads: int = 16, hidden: int = 6144) -> None:
        super().__init__()
        self.num_features = width
        self.patch_embed = _Tubelets(width)
        self.blocks = nn.ModuleList(_Block(width, heads, hidden) for _ in range(depth))
        self.fc_norm = nn.LayerNorm(width, _EPS)

    def forward(self, clips: Tensor) -> Tensor:
        if clips.shape[2:] != (FRAMES, SIDE, SIDE):
            raise ValueError(
                f"VideoMAE got clips of {clips.shape[2]} frames of {clips.shape[3]}x{clips.shape[4]}, expected "
                f"{FRAMES} of {SIDE}x{SIDE}."
            )
        x = self.patch_embed(clips)
        x = x + _positions(x.shape[1], x.shape[2]).to(x)
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x.mean(dim=1))


def _positions(count: int, width: int) -> Tensor:
    """Sines and cosines of places, ``[count, width]`` (Vaswani et al. 2017)."""
    rates = 10000.0 ** (-2 * torch.div(torch.arange(width), 2, rounding_mode="floor").double() / width)
    angles = torch.arange(count, dtype=torch.float64)[:, None] * rates
    angles[:, 0::2], angles[:, 1::2] = angles[:, 0::2].sin(), angles[:, 1::2].cos()
    return angles.float()
