"""Convolutions of frozen networks by transformed tiles: the same as directly."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mutoscope.nn.winograd_volumes import FrozenConv3x3x3, Tiling, pays


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [(1, 3, 3, 3), (2, 5, 6, 7), (1, 4, 16, 18), (3, 3, 9, 6)])
def test_it_equals_the_layer_it_is_made_from(size: tuple[int, int, int, int], bias: bool) -> None:
    torch.manual_seed(0)
    n, *volume = size
    conv = nn.Conv3d(6, 5, 3, bias=bias).double()
    x = torch.randn(n, 6, *volume).double()
    torch.testing.assert_close(FrozenConv3x3x3(conv).transformed(x), conv(x), rtol=1e-10, atol=1e-12)


def test_wide_layers_go_by_tiles_in_several_strips_and_equal_the_direct_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv3d(32, 40, 3), torch.randn(2, 32, 4, 18, 23).relu()
    fast = FrozenConv3x3x3(conv)
    wanted = conv(x)
    assert pays(32, 16, 21)
    whole = fast(x)
    assert (whole - wanted).norm() < 1e-5 * wanted.norm()
    monkeypatch.setattr("mutoscope.nn.winograd_volumes.WORK", 1)
    torch.testing.assert_close(fast(x), whole, rtol=1e-4, atol=1e-5)


def test_narrow_layers_and_small_pictures_go_directly() -> None:
    conv, x = nn.Conv3d(8, 4, 3), torch.randn(1, 8, 4, 20, 20)
    assert not pays(8, 18, 18)
    assert not pays(64, 7, 7)
    assert torch.equal(FrozenConv3x3x3(conv)(x), F.conv3d(x, conv.weight, conv.bias))


@pytest.mark.parametrize("changed", [{"padding": 1}, {"stride": 2}, {"kernel_size": 1}, {"groups": 2}])
def test_other_layers_are_refused(changed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="3x3x3 with neither padding nor strides"):
        FrozenConv3x3x3(nn.Conv3d(4, 4, **{"kernel_size": 3, **changed}))


@pytest.mark.parametrize("work", [1, 2_500_000], ids=["row by row", "at once"])
@pytest.mark.parametrize("size", [(1, 1, 4, 4), (2, 5, 12, 8)], ids=str)
def test_pooled_results_are_the_largest_of_neighbours(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int, int, int], work: int
) -> None:
    monkeypatch.setattr("mutoscope.nn.winograd_volumes.WORK", work)
    torch.manual_seed(0)
    n, *volume = size
    conv = nn.Conv3d(6, 5, 3).double()
    x = torch.randn(n, *volume, 6, dtype=torch.float64)
    tiling = Tiling(*volume)
    room = tiling.room(x, n, 6)
    tiling.inside(room).copy_(x)
    direct = conv(F.pad(x.permute(0, 4, 1, 2, 3), (1,) * 6))
    wanted = F.max_pool3d(F.pad(direct, (0, 1, 0, 1), value=-torch.inf), (1, 3, 3), (1, 2, 2)).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(FrozenConv3x3x3(conv).pooled_in_room(room, tiling), wanted, rtol=1e-10, atol=1e-12)


def test_tiles_that_are_not_full_cannot_be_pooled() -> None:
    tiling = Tiling(4, 8, 10)
    with pytest.raises(ValueError, match="Got 8x10 pixels, expected multiples of 4"):
        FrozenConv3x3x3(nn.Conv3d(2, 2, 3)).pooled_in_room(tiling.room(torch.zeros(1), 1, 2), tiling)
