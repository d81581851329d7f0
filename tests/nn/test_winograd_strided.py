"""The first layers of I3D by phases and transformed tiles: the same as directly."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn import winograd_strided
from mutoscope.nn.winograd_strided import FrozenPooledConv7x7x7


def directly(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """``[n, c, t, h, w]``, padded as TensorFlow's SAME: the odd zero at the end."""
    pooled = F.max_pool3d(F.pad(conv(F.pad(x, padding(x))), (0, 1, 0, 1), value=-torch.inf), (1, 3, 3), (1, 2, 2))
    return pooled.permute(0, 2, 3, 4, 1)


def padding(x: Tensor) -> tuple[int, ...]:
    """Of a kernel of 7 in steps of 2."""
    found: list[int] = []
    for size in reversed(x.shape[2:]):
        needed = 2 * (-(-size // 2) - 1) + 7 - size
        found += [needed // 2, needed - needed // 2]
    return tuple(found)


@pytest.mark.parametrize("work", [1, 1_000_000], ids=["row by row", "at once"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [(1, 1, 8, 8), (2, 9, 16, 24), (1, 4, 40, 8)], ids=str)
def test_it_equals_convolution_and_pooling(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int, int, int], bias: bool, work: int
) -> None:
    monkeypatch.setattr(winograd_strided, "WORK", work)
    torch.manual_seed(0)
    n, *volume = size
    conv = nn.Conv3d(3, 5, 7, 2, bias=bias).double()
    x = torch.randn(n, 3, *volume, dtype=torch.float64)
    torch.testing.assert_close(FrozenPooledConv7x7x7(conv)(x), directly(conv, x), rtol=1e-10, atol=1e-12)


def test_rounding_stays_small_in_single_precision() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv3d(3, 64, 7, 2), torch.rand(1, 3, 10, 64, 64) * 2 - 1
    found = FrozenPooledConv7x7x7(conv)(x)
    exact = directly(conv.double(), x.double())
    assert (found - exact).norm() < 5e-6 * exact.norm()


@pytest.mark.parametrize("changed", [{"padding": 3}, {"stride": 1}, {"kernel_size": 5}, {"dilation": 2}])
def test_other_layers_are_refused(changed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="7x7x7 in steps of 2 without padding"):
        FrozenPooledConv7x7x7(nn.Conv3d(3, 4, **{"kernel_size": 7, "stride": 2, **changed}))


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="Got 20x16 pixels, expected multiples of 8"):
        FrozenPooledConv7x7x7(nn.Conv3d(3, 4, 7, 2))(torch.zeros(1, 3, 4, 20, 16))
