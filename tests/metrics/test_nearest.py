"""The nearest clip by bounds and products against every pair by differences."""

import pytest
import torch
from torch import Tensor

from mutoscope.metrics import nearest
from mutoscope.metrics.nearest import NearestClip


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def direct(clips: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """In double precision, pair by pair."""
    each = (clips.double()[:, None] - reference.double()[None]).norm(dim=-1).mean(dim=-1)
    weight = mask.double()[:, None]
    return ((each * weight).sum(dim=2) / weight.sum(dim=2)).amin(dim=1)


def walks(n: int, t: int, v: int, c: int, seed: int) -> Tensor:
    """Smooth motion far from the origin."""
    return 50 + randn(n, 1, v, c, seed=seed) + randn(n, t, v, c, seed=seed + 1).cumsum(dim=1) / 10


@pytest.mark.parametrize(("t", "c"), [(1, 2), (7, 3), (8, 2), (21, 3)])
@pytest.mark.parametrize("tile", [2**4, 2**10, 2**18])
def test_every_kind_of_clip_finds_its_nearest(t: int, c: int, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_TILE", tile)
    monkeypatch.setattr(nearest, "_CHUNK", 64 * tile)
    reference = walks(70, t, 5, c, seed=0)
    search = NearestClip(reference)
    kinds = {
        "smooth": walks(9, t, 5, c, seed=5),
        "still": walks(9, t, 5, c, seed=7)[:, :1].expand(-1, t, -1, -1),
        "noise": 50 + 20 * randn(9, t, 5, c, seed=3),
        "copies": reference[10:19],
        "nearly copies": reference[10:19] + 1e-4 * randn(9, t, 5, c, seed=4),
        "far": 1e4 + walks(9, t, 5, c, seed=5),
    }
    mask = torch.ones(9, t, dtype=torch.bool)
    mask[3, t // 2 + 1 :] = False
    mask[5, 1:] = False
    for kind, clips in kinds.items():
        found = search(clips, mask)
        torch.testing.assert_close(found.double(), direct(clips, reference, mask), rtol=1e-5, atol=1e-6, msg=kind)
    assert (search(reference, torch.ones(70, t, dtype=torch.bool)) == 0).all()


def test_bounds_lie_below_and_fine_ones_close(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, clips = walks(40, 20, 6, 3, seed=1), walks(7, 20, 6, 3, seed=9)
    mask = torch.ones(7, 20, dtype=torch.bool)
    mask[2, 11:] = False
    search = NearestClip(reference)
    flat, inside = clips.flatten(1, 2).mT.contiguous(), mask.repeat_interleave(6, dim=1).float()
    pairs = (clips[:, None] - reference[None]).norm(dim=-1).sum(dim=-1)
    total = (pairs * mask[:, None]).sum(dim=2)
    coarse, fine = search._coarse_bound(flat, mask), search._fine_bound(flat, inside)
    assert (coarse <= total).all()
    assert (fine <= total).all()
    assert (fine >= 0.98 * total).all()
    assert (coarse[mask.all(dim=1)] >= 0.5 * total[mask.all(dim=1)]).all()


def test_nothing_is_asked() -> None:
    search = NearestClip(walks(3, 4, 2, 3, seed=0))
    assert search(torch.zeros(0, 4, 2, 3), torch.zeros(0, 4, dtype=torch.bool)).shape == (0,)
