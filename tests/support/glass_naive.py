"""GLASS as its original computes it, operation by operation: what the fast version is measured and checked against.

Convolution at full size before every pooling, pools of 1x1, one convolution per gate, one kernel per sample in
modulated convolutions, an affine grid for every shift, and in pretraining all of local motion analysis, times 0.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.glass.global_motion import GlobalMotion, GlobalMotionOutput
from mutoscope.models.glass.layers import (
    SLOPE,
    Conv3x3,
    ConvLSTM,
    ModulatedConv,
    Residual,
)
from mutoscope.models.glass.losses import (
    GlobalMotionWeights,
    LocalMotionWeights,
    global_motion_losses,
    local_motion_losses,
    weighted,
)
from mutoscope.models.glass.network import GlassNetwork
from mutoscope.nn.convolution import FrozenConv3x3
from mutoscope.nn.perceptual import FrozenFeatures


def _pool(x: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(x, size)


class NaiveConv3x3(Conv3x3):
    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, padding=1)
        return _pool(x, self.pool) if self.bias is None else x


class NaiveFrozenConv3x3(FrozenConv3x3):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)


class NaiveResidual(Residual):
    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.first_norm(self.first(x)), SLOPE)
        y = self.second_norm(self.second(y))
        if self.skip is None or self.skip_norm is None:
            return F.leaky_relu(y + x, SLOPE)
        return F.leaky_relu(y + self.skip_norm(_pool(self.skip(x), self.pool)), SLOPE)


class NaiveModulatedConv(ModulatedConv):
    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        weight = self.weight * self.weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        style = self.style(condition)
        style = style * style.square().mean().rsqrt()
        kernels = weight[None] * style[:, None, :, None, None]
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        n, c, height, width = x.shape
        y = F.conv2d(x.reshape(1, n * c, height, width), kernels.flatten(0, 1), padding=1, groups=n)
        return _pool(y.reshape(n, -1, height, width), self.pool)


class NaiveConvLSTM(ConvLSTM):
    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        hidden, cell = state
        seen = torch.cat([x, hidden], dim=1)
        assert self.gates.bias is not None
        kernels = zip(self.gates.weight.chunk(4), self.gates.bias.chunk(4), strict=True)
        let_in, forget, output, candidate = (F.conv2d(seen, w, b, padding=1) for w, b in kernels)
        cell = forget.sigmoid() * cell + let_in.sigmoid() * candidate.tanh()
        return output.sigmoid() * cell.tanh(), cell


def naive_translate(images: Tensor, shifts: Tensor, padding: str) -> Tensor:
    clips, steps = images.shape[:2]
    images, shifts = images.flatten(0, 1), shifts.flatten(0, 1)
    theta = torch.eye(2, 3, dtype=images.dtype, device=images.device).repeat(len(images), 1, 1)
    theta = torch.cat([theta[:, :, :2], -shifts[:, :, None]], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode=padding, align_corners=False)
    return moved.unflatten(0, (clips, steps))


class NaiveGlobalMotion(GlobalMotion):
    def forward(self, frames: Tensor) -> GlobalMotionOutput:
        masks = self.mask(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        foregrounds = masks * frames
        push = self.foreground_shift.between(foregrounds)
        backgrounds = self.backgrounds_of(frames, masks)
        pan = self.background_shift.between(backgrounds)
        moved = naive_translate(foregrounds[:, :-1], push, "zeros")
        moved_masks = naive_translate(masks[:, :-1], push, "zeros")
        behind = naive_translate(backgrounds[:, :-1], pan, "border")
        composed = moved_masks * moved + (1 - moved_masks) * behind
        return GlobalMotionOutput(
            frames, masks, foregrounds, backgrounds, push, pan, moved, moved_masks, behind, composed
        )


NAIVE: dict[type[nn.Module], type[nn.Module]] = {
    FrozenConv3x3: NaiveFrozenConv3x3,
    Conv3x3: NaiveConv3x3,
    Residual: NaiveResidual,
    ModulatedConv: NaiveModulatedConv,
    ConvLSTM: NaiveConvLSTM,
    GlobalMotion: NaiveGlobalMotion,
}


N = TypeVar("N", bound=nn.Module)


def naive(network: N) -> N:
    """The same network with the same weights, whose parts compute as the original's do; changed in place."""
    for part in network.modules():
        if type(part) in NAIVE:
            part.__class__ = NAIVE[type(part)]
    # weights as torch lays them out
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def naive_step(
    network: GlassNetwork,
    frames: Tensor,
    teacher_forced: int,
    features: FrozenFeatures | None,
    weights: tuple[GlobalMotionWeights, LocalMotionWeights],
    *,
    pretraining: bool = False,
) -> dict[str, Tensor]:
    """Forward and backward of a training step as released: one graph, one backward pass, all losses always."""
    found, drawn = network(frames, teacher_forced)
    losses = global_motion_losses(found, weights[0], features)
    local = local_motion_losses(drawn, weights[1], features)
    total = weighted(losses, weights[0]) + weighted(local, weights[1]) * (0 if pretraining else 1)
    total.backward()
    return losses | local | {"total": total}
