"""Warping error: what of a frame its predecessor, moved, does not explain; motion by phase correlation, no network."""

import torch
from torch import Tensor

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import Side, check_frames, check_side


def tile_shifts(before: Tensor, after: Tensor, tile: int) -> Tensor:
    """How far every tile has moved, by phase correlation (Kuglin and Hines 1975) under a Hann window.

    Args:
        before, after: ``[n, h, w]`` grey frames.
        tile: side of the square tiles; what does not fill a tile at the right and below is left out.

    Returns:
        ``[n, rows, columns, 2]`` whole pixels down and right, up to a quarter of a tile; 0 where a tile has no texture.
    """
    tiles = [_tiles(x, tile) for x in (before, after)]
    window = torch.hann_window(tile, periodic=False, device=before.device, dtype=before.dtype)
    window = window[:, None] * window
    spectra = [torch.fft.rfft2((x - x.mean(dim=(-2, -1), keepdim=True)) * window) for x in tiles]
    cross = spectra[1] * spectra[0].conj()
    # a floor far below any texture: flat tiles correlate with nothing
    peak = torch.fft.irfft2(cross / cross.abs().clamp(min=1e-3), s=(tile, tile))
    reach = tile // 4
    near = torch.cat([torch.arange(reach + 1), torch.arange(-reach, 0)]).to(before.device)
    inside = peak[..., near % tile, :][..., near % tile]
    best = inside.flatten(-2).argmax(dim=-1)
    return torch.stack([near[best // len(near)], near[best % len(near)]], dim=-1)


def _tiles(x: Tensor, tile: int) -> Tensor:
    rows, columns = x.shape[-2] // tile, x.shape[-1] // tile
    cut = x[..., : rows * tile, : columns * tile]
    return cut.unflatten(-1, (columns, tile)).unflatten(-3, (rows, tile)).movedim(-2, -3)


class WarpingError(RunningAverage):
    """Mean difference, in grey levels, between a frame and the one before it, moved tile by tile.

    Protocol: grey frames; tiles of 32 pixels; shifts in whole pixels up to a quarter of a tile, found by phase
    correlation; pixels that come from outside the frame are left out; mean over pixels, pairs of frames, then clips.
    Flicker and things that come out of nothing raise it. **A clip that stands still scores 0**: look at the real clips'
    value beside it, never at the lowest.

    Args:
        of: which side to look at; real clips give the floor.
        tile: side of the tiles; frames must hold one.
    """

    higher_is_better = None
    bounds = (0.0, 255.0)

    def __init__(self, of: Side = "fake", tile: int = 32) -> None:
        super().__init__("video")
        check_side(of)
        if tile < 8:
            raise ValueError(f"tile is {tile}, expected at least 8 pixels.")
        self.of, self.tile = of, tile
        self.meaning = "difference of a frame to the one before it, moved; grey levels, near the real clips'"

    def update(self, fake_frames: Tensor | None = None, real_frames: Tensor | None = None) -> None:
        """Add clips ``[b, t, 3, h, w]`` uint8 of at least two frames; other types and shapes are a ``ValueError``."""
        frames = fake_frames if self.of == "fake" else real_frames
        if frames is None:
            return
        check_frames(type(self).__name__, frames)
        if frames.shape[1] < 2 or min(frames.shape[-2:]) < self.tile:
            raise ValueError(
                f"WarpingError got clips {list(frames.shape)}, expected two frames or more and {self.tile} pixels."
            )
        grey = frames.float().mean(dim=2)
        before, after = grey[:, :-1].flatten(0, 1), grey[:, 1:].flatten(0, 1)
        error = _unexplained(before, after, tile_shifts(before, after, self.tile), self.tile)
        video = error.view(frames.shape[0], -1).mean(dim=1)
        self._add(video, torch.ones_like(video, dtype=torch.bool))


def _unexplained(before: Tensor, after: Tensor, shifts: Tensor, tile: int) -> Tensor:
    """``[n]`` mean absolute difference where the moved predecessor lies inside its frame."""
    rows, columns = shifts.shape[1:3]
    h, w = before.shape[-2:]
    wide = shifts.repeat_interleave(tile, dim=1).repeat_interleave(tile, dim=2)
    y = torch.arange(rows * tile, device=before.device)[:, None] - wide[..., 0]
    x = torch.arange(columns * tile, device=before.device) - wide[..., 1]
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    index = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).flatten(1)
    moved = before.flatten(1).gather(1, index).view_as(wide[..., 0])
    difference = (after[:, : rows * tile, : columns * tile] - moved).abs() * inside
    return difference.flatten(1).sum(dim=1) / inside.flatten(1).sum(dim=1).clamp(min=1)
