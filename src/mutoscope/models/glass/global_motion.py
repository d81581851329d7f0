"""Global motion analysis: what moves, by how much, and what lies behind it (paper section 3.1; spec section 3)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.glass.layers import Conv3x3, Residual, Same, Up, activate, precise

#: what a masked pixel is painted with before it is inpainted: outside of every colour
PATCH = -1.1


@dataclass(frozen=True)
class MaskSettings:
    """Widths of the masking network M.

    Args:
        stem: channels at full resolution.
        trunk: channels at a quarter of the resolution.
        up: channels on the way back.
        depth: residual blocks at a quarter of the resolution.
    """

    stem: int = 64
    trunk: int = 256
    up: int = 64
    depth: int = 9


class MaskNetwork(nn.Module):
    """M: the moving agent's mask, frame by frame: ``[n, 3, h, w]`` in [-1, 1] -> ``[n, 1, h, w]`` in (0, 1)."""

    def __init__(self, settings: MaskSettings = MaskSettings()) -> None:
        super().__init__()
        s = settings
        self.stem = Conv3x3(3, s.stem, bias=True)
        self.stem_norm = nn.BatchNorm2d(s.stem)
        trunk = [Residual(s.trunk, s.trunk) for _ in range(s.depth)]
        self.blocks = nn.Sequential(
            Residual(s.stem, s.trunk, 2),
            Residual(s.trunk, s.trunk, 2),
            *trunk,
            Up(s.trunk, s.up),
            Residual(s.up, s.up),
            Up(s.up, s.up),
            Residual(s.up, s.up),
        )
        self.head = Conv3x3(s.up, 1, bias=True)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.blocks(activate(self.stem_norm(self.stem(frames))))
        return precise(self.head(x)).sigmoid()


@dataclass(frozen=True)
class InpaintingSettings:
    """Widths of the inpainting network N at a half, a quarter and an eighth of the resolution."""

    half: int = 16
    quarter: int = 32
    eighth: int = 64


class InpaintingNetwork(nn.Module):
    """N: what lies behind the agent: ``[n, 3, h, w] -> [n, 3, h, w]``, not limited to any range."""

    def __init__(self, settings: InpaintingSettings = InpaintingSettings()) -> None:
        super().__init__()
        a, b, c = settings.half, settings.quarter, settings.eighth
        self.down = nn.Sequential(Same(3, a, 2), Same(a, b, 2), Same(b, b), Same(b, c, 2), Same(c, c))
        self.up = nn.Sequential(Same(c, c), Up(c, b), Up(b, b), Up(b, a), Same(a, 3))

    def forward(self, patched: Tensor) -> Tensor:
        return self.up(self.down(patched))

    def fill(self, frames: Tensor, masks: Tensor) -> Tensor:
        """Backgrounds ``[n, 3, h, w]``: frames, with what is masked ``[n, 1, h, w]`` painted anew."""
        return frames * (1 - masks) + self(patch(frames, masks)) * masks


def patch(frames: Tensor, masks: Tensor) -> Tensor:
    """Frames whose masked pixels hold a value that no picture has."""
    return PATCH * masks + frames * (1 - masks)


@dataclass(frozen=True)
class ShiftSettings:
    """Widths of a shift regressor P: four of its convolutions, two of its fully connected layers."""

    convolutions: tuple[int, int, int, int] = (16, 32, 64, 128)
    hidden: tuple[int, int] = (64, 32)


class ShiftRegressor(nn.Module):
    """P: by how much the content moves from one picture to the next: ``[n, 6, h, w] -> [n, 2]``.

    Shifts (right, down) are in half extents: 1 moves the content by half of the frame.
    """

    def __init__(self, settings: ShiftSettings = ShiftSettings()) -> None:
        super().__init__()
        a, b, c, d = settings.convolutions
        e, f = settings.hidden
        self.convolutions = nn.Sequential(Same(6, a, 2), Same(a, b, 2), Same(b, b), Same(b, c, 2), Same(c, d))
        self.first, self.first_norm = nn.Linear(d, e), nn.BatchNorm1d(e)
        self.second, self.second_norm = nn.Linear(e, f), nn.BatchNorm1d(f)
        self.last = nn.Linear(f, 2)
        nn.init.zeros_(self.last.weight)
        nn.init.normal_(self.last.bias, std=1e-4)

    def forward(self, pairs: Tensor) -> Tensor:
        x = self.convolutions(pairs).mean((2, 3))
        x = activate(self.first_norm(self.first(x)))
        x = activate(self.second_norm(self.second(x)))
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(precise(x), self.last.weight, self.last.bias)

    def between(self, pictures: Tensor) -> Tensor:
        """``[b, t, 3, h, w] -> [b, t - 1, 2]``."""
        pairs = torch.cat([pictures[:, :-1], pictures[:, 1:]], dim=2)
        return self(pairs.flatten(0, 1)).unflatten(0, pairs.shape[:2])


def translate(
    images: Tensor,
    shifts: Tensor,
    *,
    outside: Literal["zeros", "border"],
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
) -> Tensor:
    """``images`` moved by ``shifts``: the content of ``[n, c, h, w]`` goes right and down by half extents ``[n, 2]``.

    Args:
        images: at any scale.
        shifts: 2 px / width to the right, 2 px / height down.
        outside: what lies beyond the borders: nothing (foregrounds, masks), or the border itself (backgrounds).
        interpolation: a whole number of pixels is copied exactly either way.

    Returns:
        ``[n, c, h, w]`` float32.
    """
    height, width = images.shape[-2:]
    images, shifts = precise(images), precise(shifts)
    x = (2 * torch.arange(width, device=images.device, dtype=images.dtype) + 1) / width - 1
    y = (2 * torch.arange(height, device=images.device, dtype=images.dtype) + 1) / height - 1
    columns = (x[None] - shifts[:, :1])[:, None, :].expand(-1, height, -1)
    rows = (y[None] - shifts[:, 1:])[:, :, None].expand(-1, -1, width)
    grid = torch.stack([columns, rows], dim=-1)
    return F.grid_sample(images, grid, mode=interpolation, padding_mode=outside, align_corners=False)


def translate_clips(images: Tensor, shifts: Tensor, **how: Literal["zeros", "border", "bilinear", "nearest"]) -> Tensor:
    """:func:`translate` for ``[b, t, c, h, w]`` and ``[b, t, 2]``."""
    moved = translate(images.flatten(0, 1), shifts.flatten(0, 1), **how)  # type: ignore[arg-type]
    return moved.unflatten(0, images.shape[:2])


@dataclass(frozen=True)
class GlobalMotionOutput:
    """What global motion analysis finds in clips of ``t`` frames.

    Args:
        frames: ``[b, t, 3, h, w]`` as given.
        masks: ``[b, t, 1, h, w]`` in (0, 1).
        foregrounds: ``[b, t, 3, h, w]``, masks times frames.
        backgrounds: ``[b, t, 3, h, w]``, inpainted where the mask is.
        foreground_shifts, background_shifts: ``[b, t - 1, 2]`` in half extents, right and down.
        moved_foregrounds, moved_masks, moved_backgrounds: all frames but the last, moved by their shifts.
        composed: ``[b, t - 1, 3, h, w]`` frames 1.. made of what was moved.
    """

    frames: Tensor
    masks: Tensor
    foregrounds: Tensor
    backgrounds: Tensor
    foreground_shifts: Tensor
    background_shifts: Tensor
    moved_foregrounds: Tensor
    moved_masks: Tensor
    moved_backgrounds: Tensor
    composed: Tensor


@dataclass(frozen=True)
class GlobalMotionSettings:
    """Settings of all networks of global motion analysis.

    Args:
        trimmed: ours, not the paper's: at the border of a mask, what differs from the background painted behind it by
            less than this, summed over colours in [-1, 1], is background; see :meth:`GlobalMotion.trim`. Not while
            global motion analysis is trained. Never by default.
    """

    mask: MaskSettings = MaskSettings()
    inpainting: InpaintingSettings = InpaintingSettings()
    shifts: ShiftSettings = ShiftSettings()
    trimmed: float | None = None


class GlobalMotion(nn.Module):
    """GMA: mask, shifts of foreground and background, and the background behind the agent (figure 2, left)."""

    def __init__(self, settings: GlobalMotionSettings = GlobalMotionSettings()) -> None:
        super().__init__()
        self.trimmed = settings.trimmed
        self.mask = MaskNetwork(settings.mask)
        self.inpainting = InpaintingNetwork(settings.inpainting)
        self.foreground_shift = ShiftRegressor(settings.shifts)
        self.background_shift = ShiftRegressor(settings.shifts)

    def masks_of(self, frames: Tensor) -> Tensor:
        """``[b, t, 3, h, w] -> [b, t, 1, h, w]``."""
        masks = self._untrimmed(frames)
        if self.trimmed is None or self.training:
            return masks
        return self.trim(frames, masks, self._painted(frames, masks))

    def _untrimmed(self, frames: Tensor) -> Tensor:
        return self.mask(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def _painted(self, frames: Tensor, masks: Tensor) -> Tensor:
        return self.inpainting(patch(frames, masks).flatten(0, 1)).unflatten(0, frames.shape[:2])

    @torch.no_grad()
    def trim(self, frames: Tensor, masks: Tensor, painted: Tensor) -> Tensor:
        """Masks ``[b, t, 1, h, w]`` without what looks like background along their borders.

        A mask is mostly a pixel too wide: background beside the agent moves along with it for a frame, and costs
        nothing in the losses. Seen through a window that rim is all that changes where somebody stands.

        Args:
            frames, painted: ``[b, t, 3, h, w]``, and what the inpainting network sees behind these masks.

        Returns:
            Masks of the same shape; as they were in training and where ``trimmed`` is null.
        """
        if self.trimmed is None or self.training:
            return masks
        alike = (frames - painted).abs().sum(2, keepdim=True) < self.trimmed
        inner = -F.max_pool2d(-masks.flatten(0, 1), 3, stride=1, padding=1).unflatten(0, masks.shape[:2])
        return torch.where(alike, torch.minimum(masks, inner), masks)

    def backgrounds_of(self, frames: Tensor, masks: Tensor) -> Tensor:
        """``[b, t, 3, h, w] -> [b, t, 3, h, w]``."""
        return self.inpainting.fill(frames.flatten(0, 1), masks.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def forward(self, frames: Tensor) -> GlobalMotionOutput:
        """``frames: [b, t, 3, h, w]`` in [-1, 1], at least two of them; in training ``b (t - 1) >= 2``."""
        masks = self._untrimmed(frames)
        foregrounds = masks * frames
        foreground_shifts = self.foreground_shift.between(foregrounds)
        painted = self._painted(frames, masks)
        backgrounds = compose(painted, masks, frames)
        background_shifts = self.background_shift.between(backgrounds)
        if self.trimmed is not None and not self.training:
            # the networks of shifts have learned from masks as they are
            masks = self.trim(frames, masks, painted)
            foregrounds, backgrounds = masks * frames, self.backgrounds_of(frames, masks)
        # one sampling for both, since mask and foreground move alike
        moved = translate_clips(torch.cat([foregrounds, masks], 2)[:, :-1], foreground_shifts, outside="zeros")
        moved_foregrounds, moved_masks = moved[:, :, :3], moved[:, :, 3:]
        moved_backgrounds = translate_clips(backgrounds[:, :-1], background_shifts, outside="border")
        return GlobalMotionOutput(
            frames=frames,
            masks=masks,
            foregrounds=foregrounds,
            backgrounds=backgrounds,
            foreground_shifts=foreground_shifts,
            background_shifts=background_shifts,
            moved_foregrounds=moved_foregrounds,
            moved_masks=moved_masks,
            moved_backgrounds=moved_backgrounds,
            composed=compose(moved_foregrounds, moved_masks, moved_backgrounds),
        )


def compose(foregrounds: Tensor, masks: Tensor, backgrounds: Tensor) -> Tensor:
    """Frames of foregrounds laid over backgrounds (equation 5)."""
    return masks * foregrounds + (1 - masks) * backgrounds


def panned(background: Tensor, shifts: Tensor) -> Tensor:
    """The first background as the camera sees it later.

    Resampled once by the sum of all shifts so far, nearest pixel, so that it does not blur with time.

    Args:
        background: ``[b, 3, h, w]``.
        shifts: ``[b, t, 2]`` from each frame to the next.

    Returns:
        ``[b, t, 3, h, w]``.
    """
    total = precise(shifts).cumsum(dim=1)
    clips = background[:, None].expand(-1, shifts.shape[1], -1, -1, -1)
    return translate_clips(clips, total, outside="border", interpolation="nearest")
