"""SPADE: modulation against its formula, merged convolutions against separate ones, scales, recomputation."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn.spade import SLOPE, SpadeBlock, SpadeGenerator, SpadeNorm, SpadeSettings, Upsampling


def test_modulation_is_norm_times_one_plus_gamma_plus_beta() -> None:
    torch.manual_seed(0)
    layer, x, features = SpadeNorm(4, 3), 5 * torch.randn(2, 4, 6, 6) + 1, torch.randn(2, 3, 6, 6)
    weight, bias = layer.modulation.weight, layer.modulation.bias
    assert bias is not None
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    gamma = F.conv2d(features, weight[:4], bias[:4], padding=1)
    beta = F.conv2d(features, weight[4:], bias[4:], padding=1)
    torch.testing.assert_close(layer(x, features), normal * (1 + gamma) + beta)


@pytest.mark.parametrize(("c_in", "c_out"), [(6, 6), (6, 4)])
def test_block_equals_its_formula_with_separate_convolutions(c_in: int, c_out: int) -> None:
    torch.manual_seed(0)
    block = SpadeBlock(c_in, c_out, segmap=5, hidden=3).double().eval()
    x, segmap = torch.randn(2, c_in, 8, 8).double(), torch.randn(2, 5, 8, 8).double()
    assert block.shared.bias is not None

    def modulated(norm: SpadeNorm, y: Tensor, which: int) -> Tensor:
        rows = slice(3 * which, 3 * which + 3)
        assert block.shared.bias is not None
        hidden = F.conv2d(segmap, block.shared.weight[rows], block.shared.bias[rows], padding=1).relu()
        return norm(y, hidden)

    y = block.conv_0(F.leaky_relu(modulated(block.norm_0, x, 0), SLOPE))
    y = block.conv_1(F.leaky_relu(modulated(block.norm_1, y, 1), SLOPE))
    skip = x
    if block.norm_skip is not None and block.conv_skip is not None:
        skip = block.conv_skip(modulated(block.norm_skip, x, 2))
    assert (block.conv_skip is None) == (c_in == c_out)
    torch.testing.assert_close(block(x, segmap), skip + y)


@pytest.mark.parametrize(("upsampling", "reduction"), [("normal", 32), ("more", 64), ("most", 128)])
def test_scales(upsampling: Upsampling, reduction: int) -> None:
    network = SpadeGenerator(4, SpadeSettings(2, 2, upsampling)).eval()
    assert network.reduction == reduction
    coarsest: list[torch.Size] = []
    network.first.register_forward_hook(lambda module, inputs, output: coarsest.append(output.shape))
    image = network(torch.randn(1, 4, reduction, 2 * reduction))
    assert image.shape == (1, 3, reduction, 2 * reduction)
    assert image.abs().max() <= 1
    assert coarsest == [(1, 32, 1, 2)]


def test_every_block_sees_the_map_resized_to_its_scale() -> None:
    network, segmap = SpadeGenerator(4, SpadeSettings(1, 2)).eval(), torch.randn(1, 4, 64, 32)
    for block in network.blocks:

        def compare(module: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
            x, seen = inputs
            assert seen.equal(F.interpolate(segmap, x.shape[-2:], mode="nearest"))

        block.register_forward_pre_hook(compare)
    network(segmap)


def test_unsuitable_sizes_and_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32, not 48x64"):
        SpadeGenerator(2, SpadeSettings(1, 2))(torch.randn(1, 2, 48, 64))
    with pytest.raises(ValueError, match="upsampling is 'less', expected one of normal, more, most"):
        SpadeSettings(upsampling="less")  # type: ignore[arg-type]


def test_recomputed_blocks_change_no_gradient() -> None:
    torch.manual_seed(0)
    plain = SpadeGenerator(4, SpadeSettings(2, 2)).double()
    again = copy.deepcopy(plain)
    again.recomputed = 3
    segmap = torch.randn(2, 4, 32, 32).double()
    inputs = [segmap.clone().requires_grad_() for _ in range(2)]
    for network, x in zip((plain, again), inputs, strict=True):
        network(x).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for ours, theirs in zip(again.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    for ours, theirs in zip(again.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_norms_can_be_synchronised() -> None:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(SpadeGenerator(4, SpadeSettings(2, 2))).eval()
    assert any(isinstance(module, nn.SyncBatchNorm) for module in network.modules())
    assert network(torch.randn(1, 4, 32, 32)).shape == (1, 3, 32, 32)


def test_paper_width_has_the_released_number_of_parameters() -> None:
    with torch.device("meta"):
        block = SpadeBlock(1024, 512, segmap=512, hidden=128)
    shapes = sum(p.numel() for p in block.parameters())
    norms = 3 * 512 * 128 * 9 + 3 * 128 + 2 * (2 * 1024 * 128 * 9 + 2 * 1024) + 2 * 512 * 128 * 9 + 2 * 512
    assert shapes == norms + 512 * 1024 * 9 + 512 + 512 * 512 * 9 + 512 + 512 * 1024
