import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mutoscope.nn.patchgan import PatchGAN


def plain(network: PatchGAN) -> nn.Sequential:
    """The same network written down layer by layer, with the weights it has at this moment."""
    blocks = [nn.Sequential(network.first, nn.LeakyReLU(0.2))]
    for convolution in network.hidden:
        copy = nn.Conv2d(
            convolution.in_channels, convolution.out_channels, 4, convolution.stride, padding=2, bias=False
        )
        copy.weight = nn.Parameter(convolution.weight.detach().clone())
        blocks.append(nn.Sequential(copy, nn.InstanceNorm2d(convolution.out_channels), nn.LeakyReLU(0.2)))
    return nn.Sequential(*blocks, network.last)


def test_every_layer_is_that_of_the_plain_network() -> None:
    network = PatchGAN(3, width=8, layers=4, max_width=24).eval()
    images = torch.randn(2, 3, 48, 64)
    x, expected = images, []
    for block in plain(network):
        x = block(x)
        expected.append(x)
    found = network(images)
    assert [f.shape[1] for f in found] == [8, 16, 24, 24, 1]
    torch.testing.assert_close(found, expected)


def test_all_but_the_last_two_convolutions_halve_the_picture() -> None:
    shapes = [tuple(f.shape[2:]) for f in PatchGAN(3, width=2, layers=4)(torch.randn(1, 3, 64, 64))]
    assert shapes == [(33, 33), (17, 17), (9, 9), (10, 10), (11, 11)]
    shapes = [tuple(f.shape[2:]) for f in PatchGAN(3, width=2, layers=2)(torch.randn(1, 3, 64, 64))]
    assert shapes == [(33, 33), (34, 34), (35, 35)]


def test_a_condition_in_two_parts_is_the_condition_beside_the_picture() -> None:
    network = PatchGAN(3, condition=5, width=4, layers=3).double().eval()
    images, maps = torch.randn(2, 2, 3, 32, 40).double(), torch.randn(2, 5, 32, 40).double()
    response = F.conv2d(maps, network.condition_weight, stride=2, padding=2)
    together = network(images.flatten(0, 1), response)
    for i in range(2):
        beside = torch.cat([images[i], maps], dim=1)
        expected = plain(network)[0](beside)
        torch.testing.assert_close(together[0].unflatten(0, (2, 2))[i], expected)
    alone = network(images[1], response)
    torch.testing.assert_close([f.unflatten(0, (2, 2))[1] for f in together], alone)


def test_hidden_weights_have_unit_spectral_norm_after_training_passes() -> None:
    network = PatchGAN(3, width=8, layers=4)
    with torch.no_grad():
        for _ in range(50):
            network(torch.randn(1, 3, 32, 32))
    for convolution in network.hidden:
        norm = torch.linalg.matrix_norm(convolution.weight.flatten(1), ord=2)
        assert float(norm.detach()) == pytest.approx(1, abs=0.02)


def test_one_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        PatchGAN(layers=1)
