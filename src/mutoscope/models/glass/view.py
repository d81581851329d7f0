"""What local motion analysis sees of a frame: all of it, or a window that follows the agent (ours, not the paper's)."""

import torch
from torch import Tensor
from torch.nn import functional as F

#: pixels up, down and aside within which an agent is looked for
SEARCHED = 3
#: what a pixel costs, squared, against the mean difference of pictures: of places that are equally good, the nearest
_NEAREST = 1e-4
#: largest difference of a pixel that counts, over all channels: limbs that went elsewhere differ wherever one looks
_DIFFERENT = 0.15


class View:
    """A window of fixed size around the agent, moved with it by whole pixels; or the whole frame.

    In a window the agent stands still, so that what changes there is local motion alone, and the networks need not
    look at what is far from it. What reaches beyond the window is not seen, nor drawn.

    Args:
        frame_size: height and width.
        window: height and width; the whole frame unless given.
    """

    def __init__(self, frame_size: tuple[int, int], window: tuple[int, int] | None = None) -> None:
        self.frame_size, self.size = frame_size, window or frame_size
        self.whole = window is None

    def centres(self, masks: Tensor) -> Tensor:
        """``[n, 1, h, w] -> [n, 2]``: where the agents are, pixels from left and top; the middle without."""
        weights = (masks[:, 0] - 0.5).relu() + 1e-6
        total = weights.sum((1, 2))
        height, width = self.frame_size
        columns = torch.arange(width, device=masks.device, dtype=weights.dtype)
        rows = torch.arange(height, device=masks.device, dtype=weights.dtype)
        return torch.stack([(weights.sum(1) * columns).sum(1), (weights.sum(2) * rows).sum(1)], dim=1) / total[:, None]

    def corners(self, centres: Tensor, ways: Tensor) -> Tensor:
        """Where the windows begin, ``[b, t, 2]`` int64 pixels from left and top.

        Args:
            centres: ``[b, 2]`` of the agents at first.
            ways: ``[b, t, 2]`` which they have gone since, half extents.
        """
        if self.whole:
            return torch.zeros_like(ways, dtype=torch.int64)
        extent = ways.new_tensor([self.frame_size[1], self.frame_size[0]])
        size = ways.new_tensor([self.size[1], self.size[0]])
        corners = (centres[:, None] + ways * extent / 2 - (size - 1) / 2 + 0.5).floor()
        # beyond these it holds nothing anyway
        return torch.minimum(torch.maximum(corners, -size), extent).to(torch.int64)

    def settled(self, agents: Tensor, corners: Tensor) -> Tensor:
        """Corners at which the agent lies as it lies in its first window: a few pixels beside those given.

        Shifts that were found are wrong by half a pixel and more, most of all where limbs move. A window that trembles
        so would show little but its own trembling, and all local actions would be about that.

        Args:
            agents: ``[b, t, c, h, w]`` foregrounds and masks of frames that are known.
            corners: ``[b, t, 2]`` by their shifts.
        """
        if self.whole:
            return corners
        around = _crop(agents, corners - SEARCHED, (self.size[0] + 2 * SEARCHED, self.size[1] + 2 * SEARCHED))
        places = around.unfold(3, self.size[0], 1).unfold(4, self.size[1], 1)
        first = self.cut(agents[:, :1], corners[:, :1])[:, :, :, None, None]
        away = torch.arange(-SEARCHED, SEARCHED + 1, device=corners.device)
        differences = (places - first).abs().sum(2).clamp(max=_DIFFERENT).mean((4, 5))
        best = (differences + _NEAREST * (away[:, None].square() + away.square())).flatten(2).argmin(2)
        return corners + torch.stack([away[best % len(away)], away[best // len(away)]], dim=2)

    def cut(self, pictures: Tensor, corners: Tensor) -> Tensor:
        """``[b, t, c, h, w]`` of whole frames as seen through windows; nothing, 0, is beyond the frame."""
        return pictures if self.whole else _crop(pictures, corners, self.size)

    def paste(self, pictures: Tensor, corners: Tensor) -> Tensor:
        """``[b, t, c, ...]`` of windows as parts of whole frames, that hold nothing, 0, elsewhere."""
        return pictures if self.whole else _crop(pictures, -corners, self.frame_size)


def _crop(pictures: Tensor, corners: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = pictures.shape[-2:]
    rows = _within(corners[..., 1], size[0], height)[:, :, None, :, None]
    columns = _within(corners[..., 0], size[1], width)[:, :, None, None, :]
    # one row and one column of nothing, for all that lies outside
    return F.pad(pictures, (0, 1, 0, 1)).take_along_dim(rows, dim=3).take_along_dim(columns, dim=4)


def _within(start: Tensor, length: int, extent: int) -> Tensor:
    places = start[..., None] + torch.arange(length, device=start.device)
    return places.masked_fill((places < 0) | (places >= extent), extent)
