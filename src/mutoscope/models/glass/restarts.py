"""Codes that no action uses start again where there are actions (ours, off by default; spec section 11.6)."""

import torch
from torch import Tensor, distributed, nn


class CodeRestarts(nn.Module):
    """Counts how long every code has not been used, and moves those that wait too long.

    A small quantiser trained for minutes soon calls everything by one or two of its codes: the others are far from
    whatever the network says, so that they are never the nearest, and never learn. Put onto a direction that was just
    seen, a code divides the crowd around its neighbour.

    Args:
        codes: number K of codes.
        after: iterations without use.
    """

    idle: Tensor

    def __init__(self, codes: int, after: int) -> None:
        super().__init__()
        self.after = after
        self.register_buffer("idle", torch.zeros(codes, dtype=torch.long))

    @torch.no_grad()
    def forward(self, codes: Tensor, index: Tensor, projected: Tensor, momentum: Tensor | None = None) -> None:
        """Take note of an iteration; processes of one training must all call this, and move the same codes.

        Args:
            codes: ``[k, d]``, changed in place.
            index: ``[n]`` which were used.
            projected: ``[n, d]`` the directions that they stand for.
            momentum: ``[k, d]`` the optimiser's mean of the codes' gradients, where it has one; forgotten, in place,
                for codes that move, since it leads on from where they were. The mean of squares stays: it belongs to
                the steps' size, and without it the next one would be three times too long.
        """
        used = torch.zeros_like(self.idle).index_fill_(0, index, 1)
        picked = projected[torch.randint(len(projected), (len(codes),), device=projected.device)].to(codes.dtype)
        if distributed.is_initialized():
            distributed.all_reduce(used)
            distributed.broadcast(picked, src=0)
        self.idle.copy_((self.idle + 1) * (used == 0))
        moves = self.idle >= self.after
        codes.copy_(torch.where(moves[:, None], picked, codes))
        self.idle.mul_(~moves)
        if momentum is not None:
            momentum.mul_(~moves[:, None])
