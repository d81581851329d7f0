"""The quick form of I3D against the network itself."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mutoscope.evaluators.extractors import _fused
from mutoscope.evaluators.frozen_i3d import FrozenI3D, max_of_neighbours
from mutoscope.evaluators.i3d import I3D, SHORTEST, SIDE


@pytest.fixture(scope="module")
def folded() -> I3D:
    torch.manual_seed(0)
    network = I3D().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)  # with less, no clip would be told from another in the end
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean = torch.randn(module.num_features) / 10
            module.running_var = torch.rand(module.num_features) + 0.5
    _fused(network)
    return network


@pytest.fixture(scope="module")
def frozen(folded: I3D) -> FrozenI3D:
    return FrozenI3D(folded)


def test_features_are_those_of_the_network(folded: I3D, frozen: FrozenI3D) -> None:
    clips = torch.rand(2, 3, SHORTEST, SIDE, SIDE) * 2 - 1
    clips[1] = clips[1].sign()
    with torch.no_grad():
        found, expected = frozen(clips), folded(clips)
    assert (found - expected).norm() < 1e-5 * (expected[0] - expected[1]).norm()


def test_other_sizes_are_left_to_the_network(folded: I3D, frozen: FrozenI3D) -> None:
    clips = torch.rand(1, 3, SHORTEST, 193, 200)
    with torch.no_grad():
        assert torch.equal(frozen(clips), folded(clips))
    with pytest.raises(ValueError, match="expected at least 9"):
        frozen(torch.rand(1, 3, 8, SIDE, SIDE))


def test_gradients_go_through_the_network(frozen: FrozenI3D) -> None:
    clips = torch.rand(1, 3, SHORTEST, SIDE, SIDE, requires_grad=True)
    (gradient,) = torch.autograd.grad(frozen(clips).square().sum(), clips)
    assert gradient.abs().sum() > 0


def test_batch_normalisation_has_to_be_folded() -> None:
    with torch.device("meta"):
        network = I3D()
    with pytest.raises(ValueError, match="folded"):
        FrozenI3D(network)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 3), (4, 7, 5)], ids=str)
def test_largest_of_neighbours_is_max_pooling(size: tuple[int, int, int]) -> None:
    x = torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(0))
    wanted = F.max_pool3d(x.permute(0, 4, 1, 2, 3), 3, 1, 1).permute(0, 2, 3, 4, 1)
    assert torch.equal(max_of_neighbours(x), wanted)
