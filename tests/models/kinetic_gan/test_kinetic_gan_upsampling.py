"""How Kinetic-GAN's generator makes more frames: repeated, as in the paper, or interpolated."""

import pytest
import torch
from torch.nn import functional as F

from mutoscope.metrics.movement import spectrum
from mutoscope.models.kinetic_gan import Generator
from mutoscope.models.kinetic_gan.graph_layers import interpolate_time
from mutoscope.structures import NTU25

SMALL = {"latent": 8, "widths": (16, 16, 8, 8, 8), "mapping_depth": 0, "length": 32}


@pytest.mark.parametrize(("source", "length"), [(2, 4), (4, 8), (3, 12), (5, 7), (8, 2), (1, 6), (6, 6)])
def test_frames_are_interpolated_as_torch_does(source: int, length: int) -> None:
    x = torch.randn(2, source, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = x.flatten(2).transpose(1, 2)
    expected = F.interpolate(rows, size=length, mode="linear", align_corners=False).transpose(1, 2).unflatten(2, (3, 4))
    torch.testing.assert_close(interpolate_time(x, length), expected)


def test_the_papers_repeats_frames_and_both_have_the_same_weights() -> None:
    paper, linear = Generator(NTU25, 3, 4, **SMALL), Generator(NTU25, 3, 4, upsampling="linear", **SMALL)  # type: ignore[arg-type]
    assert {n: x.shape for n, x in paper.state_dict().items()} == {n: x.shape for n, x in linear.state_dict().items()}
    with pytest.raises(ValueError, match="upsampling is 'cubic', expected one of nearest, linear"):
        Generator(NTU25, 3, 4, upsampling="cubic", **SMALL)  # type: ignore[arg-type]


def test_interpolation_takes_the_trembling_out_of_the_same_weights() -> None:
    torch.manual_seed(0)
    paper, linear = Generator(NTU25, 3, 4, **SMALL), Generator(NTU25, 3, 4, upsampling="linear", **SMALL)  # type: ignore[arg-type]
    linear.load_state_dict(paper.state_dict())
    z, label = torch.randn(16, 8), torch.arange(16) % 4
    quick = []
    for generator in (paper, linear):
        with torch.no_grad():
            bands = spectrum(generator(z, label).double()).mean(dim=(0, 2))
        quick.append(float(bands[4:].sum() / bands.sum()))
    assert quick[1] < 0.75 * quick[0]
