from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from mutoscope.formats.backbones import backbone_weights
from mutoscope.nn.perceptual import FrozenFeatures, SqueezeFeatures, Vgg19Features, perceptual_loss


def random_weights(network: nn.Module) -> Mapping[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.randn(x.shape, generator=generator) / max(x[0].numel(), 1) ** 0.5
        for key, x in network.state_dict().items()
        if key.startswith("features.")
    }


@pytest.fixture(scope="module")
def squeeze() -> SqueezeFeatures:
    with torch.device("meta"):
        network = torchvision.models.squeezenet1_1()
    return SqueezeFeatures(random_weights(network))


def test_vgg_taps_are_those_of_the_whole_network() -> None:
    with torch.device("meta"):
        whole = torchvision.models.vgg19(init_weights=False)
    weights = random_weights(whole)
    layers = whole.features
    layers.load_state_dict({key.removeprefix("features."): x for key, x in weights.items()}, assign=True)
    images = torch.randn(1, 3, 32, 48)
    expected, x = [], images
    convolutions_before_tap = [0, 2, 4, 8, 12]
    seen = -1
    for layer in layers:
        x = layer(x)
        seen += isinstance(layer, nn.Conv2d)
        if isinstance(layer, nn.ReLU) and seen in convolutions_before_tap:
            expected.append(x.clone())
    found = Vgg19Features(weights)(images)
    assert [f.shape[1:] for f in found] == [(64, 32, 48), (128, 16, 24), (256, 8, 12), (512, 4, 6), (512, 2, 3)]
    torch.testing.assert_close(found, expected)


def test_loss_is_the_weighted_sum_over_the_taps(squeeze: SqueezeFeatures) -> None:
    fake, real = torch.randn(2, 2, 3, 40, 40).unbind()
    expected = sum(
        w * (a - b).abs().mean()
        for w, a, b in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), squeeze(fake), squeeze(real), strict=True)
    )
    torch.testing.assert_close(perceptual_loss(squeeze, fake, real), expected)
    assert perceptual_loss(squeeze, real, real) == 0


def test_gradients_reach_the_fake_pictures_only(squeeze: SqueezeFeatures) -> None:
    fake, real = (torch.randn(1, 3, 40, 40, requires_grad=True) for _ in range(2))
    perceptual_loss(squeeze, fake, real).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert real.grad is None
    assert not any(p.requires_grad for p in squeeze.parameters())


def test_checkpoints_leave_the_features_out_and_load_without_them(squeeze: SqueezeFeatures) -> None:
    model = nn.ModuleDict({"trained": nn.Linear(2, 2), "features": squeeze})
    state = model.state_dict()
    assert set(state) == {"trained.weight", "trained.bias"}
    before = {name: p.clone() for name, p in squeeze.named_parameters()}
    model.load_state_dict({key: x + 1 for key, x in state.items()}, strict=True)
    for name, p in squeeze.named_parameters():
        assert torch.equal(p, before[name])


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'features\.0\.weight' is missing"):
        SqueezeFeatures({})
    with pytest.raises(ValueError, match=r"do not fit VGG-19: 'features\.0\.weight' has shape \[64, 3\]"):
        Vgg19Features({"features.0.weight": torch.zeros(64, 3)})


def test_real_weights_tell_a_small_change_from_a_large_one(shared_dir: Path) -> None:
    path = shared_dir / "data" / "lpips_squeeze" / "squeezenet1_1_features.pth"
    if not path.is_file():
        pytest.skip(f"There is no {path}.")
    features: FrozenFeatures = SqueezeFeatures(backbone_weights("squeezenet1_1", path))
    torch.manual_seed(0)
    real, noise = torch.rand(1, 3, 64, 64), torch.randn(1, 3, 64, 64)
    losses = [float(perceptual_loss(features, real + strength * noise, real)) for strength in (0.01, 0.1, 0.5)]
    assert 0 < losses[0] < losses[1] < losses[2]
