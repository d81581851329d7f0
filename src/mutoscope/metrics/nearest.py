"""The nearest of many clips, exactly, without comparing every pair in full.

The distance of two clips is the mean over frames and joints of the distance between corresponding joints, so no single
matrix product gives it. Bounds from below come from products: averaged over a stretch of frames, two joints are no
farther apart than they are on average. Only clips whose bound undercuts the best distance found so far are compared in
full, by differences, so that what is returned is exact: 0 for a copy.
"""

import torch
from torch import Tensor

#: frames that are averaged for the first bound; motion hardly turns within
_STRETCH = 8
#: numbers that are held at a time
_CHUNK = 2**22
#: numbers of a block that stays in the processor's cache
_TILE = 2**18
#: share of the reference beyond which bounds by single frames are cheaper than comparing in full
_MANY = 0.5


class NearestClip:
    """Finds the nearest of a fixed set of clips.

    Args:
        reference: ``[n, t, v, c]`` float, at least one clip.
    """

    def __init__(self, reference: Tensor) -> None:
        self.shape, self.device = tuple(reference.shape[1:]), reference.device
        t = self.shape[0]
        # [n, c, t v]: sums over coordinates run along memory
        self._reference = reference.float().flatten(1, 2).mT.contiguous()
        self._centre = self._reference.mean(dim=0)
        sizes = [min(_STRETCH, t - start) for start in range(0, t, _STRETCH)]
        self._sizes = torch.tensor(sizes, device=reference.device)
        self._coarse = _factors(self._averaged(self._reference - self._centre), right=True)
        self._coarse_reach = self._coarse[:, -1].amax(dim=1).sqrt()

    def __call__(self, clips: Tensor, mask: Tensor) -> Tensor:
        """Distances to the nearest clip.

        Args:
            clips: ``[b, t, v, c]``.
            mask: ``[b, t]`` bool, frames that count; at least one of every clip.

        Returns:
            ``[b]`` float32, the mean distance of corresponding joints over the frames that count.
        """
        if not len(clips):
            return clips.new_zeros(0, dtype=torch.float32)
        rows = max(1, _CHUNK // len(self._reference))
        return torch.cat([self._nearest(c, m) for c, m in zip(clips.split(rows), mask.split(rows), strict=True)])

    def _nearest(self, clips: Tensor, mask: Tensor) -> Tensor:
        flat = clips.float().flatten(1, 2).mT.contiguous()
        inside = mask.repeat_interleave(self.shape[1], dim=1).to(flat)
        bound = self._coarse_bound(flat, mask)
        some = min(max(1, _TILE // flat[0].numel()), bound.shape[1])
        first = bound.topk(some, dim=1, largest=False).indices
        best = torch.stack([self._compared(*one).amin() for one in zip(flat, inside, first, strict=True)])
        bound.scatter_(1, first, torch.inf)
        left = (bound <= best[:, None]).sum(dim=1)
        many = left > _MANY * bound.shape[1]
        if many.any():
            bound[many] = self._fine_bound(flat[many], inside[many])
        for clip in left.nonzero()[:, 0].tolist():
            best[clip] = self._best(flat[clip], inside[clip], bound[clip], best[clip], some)
        return best / inside.sum(dim=1)

    def _best(self, clip: Tensor, inside: Tensor, bound: Tensor, best: Tensor, some: int) -> Tensor:
        """The least sum of distances, the most promising compared first: the better the best, the fewer are left."""
        left = (bound <= best).nonzero()[:, 0]
        promising, order = bound[left].sort()
        for those, bounds in zip(left[order].split(some), promising.split(some), strict=True):
            if bounds[0] > best:
                break
            best = torch.minimum(best, self._compared(clip, inside, those).amin())
        return best

    def _averaged(self, flat: Tensor) -> Tensor:
        """``[n, c, t v]`` -> ``[q, n, c]`` means over stretches of frames, ``q`` stretches of all joints."""
        t, v, c = self.shape
        stretches = flat.view(-1, c, t, v).split(_STRETCH, dim=2)
        means = torch.stack([stretch.mean(dim=2) for stretch in stretches], dim=2)
        return means.flatten(2).permute(2, 0, 1)

    def _coarse_bound(self, flat: Tensor, mask: Tensor) -> Tensor:
        """``[b, n]`` below the sum of distances, from stretches that lie inside the mask as a whole."""
        v = self.shape[1]
        whole = torch.stack([stretch.all(dim=1) for stretch in mask.split(_STRETCH, dim=1)], dim=1)
        weight = (whole * self._sizes).repeat_interleave(v, dim=1).to(flat)
        left = _factors(self._averaged(flat - self._centre), right=False)
        return _bound(left, self._coarse, weight.mT, self._coarse_reach)

    def _fine_bound(self, flat: Tensor, inside: Tensor) -> Tensor:
        """``[b, n]`` below the sum of distances by no more than rounding."""
        total = flat.new_zeros(len(flat), len(self._reference))
        step = max(1, _CHUNK // self._reference[:, :, 0].numel())
        for start in range(0, flat.shape[2], step):
            here = slice(start, start + step)
            left, right = (
                _factors((x[..., here] - self._centre[:, here]).permute(2, 0, 1), right=right)
                for x, right in ((flat, False), (self._reference, True))
            )
            total += _bound(left, right, inside[:, here].mT, right[:, -1].amax(dim=1).sqrt())
        return total

    def _compared(self, clip: Tensor, inside: Tensor, those: Tensor) -> Tensor:
        """``[p]`` sums of distances between one clip ``[c, t v]`` and some of the reference, by differences."""
        square = self._reference[those].sub_(clip).square_()
        total = square[:, 0]
        for coordinate in range(1, square.shape[1]):
            total += square[:, coordinate]
        return total.sqrt_() @ inside


def _factors(points: Tensor, *, right: bool) -> Tensor:
    """``[q, n, c]`` -> ``[q, n, c + 2]``, or ``[q, c + 2, n]`` on the right, whose products are squared distances."""
    square = points.square().sum(dim=2, keepdim=True)
    one = torch.ones_like(square)
    if right:
        return torch.cat([points, one, square], dim=2).mT.contiguous()
    return torch.cat([-2 * points, square, one], dim=2)


def _bound(left: Tensor, right: Tensor, weight: Tensor, reach: Tensor) -> Tensor:
    """Weighted sums of distances less what rounding may have added.

    Args:
        left: ``[q, b, c + 2]``, see :func:`_factors`.
        right: ``[q, c + 2, n]``.
        weight: ``[q, b]``, at least 0.
        reach: ``[q]`` the largest distance of a point on the right from the origin.

    Returns:
        ``[b, n]``.
    """
    # a product of c + 2 terms is exact to so much of (|x| + |y|)^2, its root to the root of that
    rounding = (left.shape[2] * torch.finfo(left.dtype).eps) ** 0.5
    size = left[..., -2].sqrt() + reach[:, None]
    slack = (weight * size).sum(dim=0) * rounding
    # the root of w^2 d^2 is w d
    left = left * weight.square()[..., None]
    b, n = left.shape[1], right.shape[2]
    total = left.new_zeros(b, n)
    columns = max(1, _TILE // b)
    for start in range(0, n, columns):
        here = slice(start, start + columns)
        part = total[:, here]
        for x, y in zip(left, right[..., here], strict=True):
            part += (x @ y).clamp_(min=0).sqrt_()
    return total - slack[:, None]
