"""Max pooling of results while they still lie in tiles, so that they are never written where nobody reads them."""

import torch
from torch import Tensor


def add_pooled(tiles: Tensor, into: Tensor, top: int) -> None:
    """Pool rows of tiles, 3x3 pixels in steps of 2 as TensorFlow's SAME, in pictures of even height and width.

    A picture's rows of tiles come one after the other from the first one on: the last pooled row of a tile also sees
    the first pixels of the next one.

    Args:
        tiles: results ``[4, 4, ..., rows, columns, c]``.
        into: pooled pictures ``[..., 2 * all rows, 2 * columns, c]``, where they are put.
        top: the first of the rows.
    """
    rows = tiles.shape[-3]
    right = torch.maximum(tiles[:, 2], tiles[:, 3])
    at_next = right[..., :-1, :]
    torch.maximum(at_next, tiles[:, 0, ..., 1:, :], out=at_next)
    left = torch.maximum(tiles[:, 0], tiles[:, 1])
    torch.maximum(left, tiles[:, 2], out=left)
    for side, columns in enumerate((left, right)):
        pooled = into[..., side::2, :]
        here = pooled[..., 2 * top : 2 * (top + rows), :, :].unflatten(-3, (rows, 2))
        above = torch.maximum(columns[0], columns[1])
        torch.maximum(above, columns[2], out=here[..., 0, :, :])
        below = torch.maximum(columns[2], columns[3])
        at_next = below[..., :-1, :, :]
        torch.maximum(at_next, columns[0, ..., 1:, :, :], out=at_next)
        here[..., 1, :, :] = below
        if top:
            earlier = pooled[..., 2 * top - 1, :, :]
            torch.maximum(earlier, columns[0, ..., 0, :, :], out=earlier)
