from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import lpips
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from mutoscope.evaluators.published import PretrainedLPIPS
from mutoscope.metrics import LPIPS, LPIPSNetwork
from mutoscope.metrics.lpips import TOWERS, Backbone


def heads(net: Backbone) -> dict[str, Tensor]:
    spec = find_spec("lpips")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "weights" / "v0.1" / f"{net}.pth"
    weights: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
    return weights


def random_backbone(net: Backbone) -> dict[str, Tensor]:
    """He-initialised weights of the features alone: VGG's classifier would take a second."""
    with torch.device("meta"):
        shapes = getattr(models, TOWERS[net].model)(weights=None).state_dict()
    g = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(s.shape, generator=g) * (2 / s[0].numel()) ** 0.5 if s.ndim > 1 else torch.zeros(s.shape)
        for name, s in shapes.items()
        if name.startswith("features.")
    }


@pytest.fixture(scope="module")
def squeeze(shared_dir: Path) -> LPIPSNetwork:
    path = shared_dir / "data" / "lpips_squeeze" / "squeezenet1_1_features.pth"
    if not path.is_file():
        pytest.skip(f"There are no SqueezeNet weights at '{path}'.")
    return LPIPSNetwork("squeeze", torch.load(path, weights_only=True), heads("squeeze"))


def test_known_distances_of_noise(squeeze: LPIPSNetwork) -> None:
    g = torch.Generator().manual_seed(42)
    a = torch.rand(2, 3, 100, 100, generator=g) * 2 - 1
    b = torch.rand(2, 3, 100, 100, generator=g) * 2 - 1
    torch.testing.assert_close(squeeze(a, b), torch.tensor([0.1024, 0.0938]), rtol=0, atol=6e-5)


def test_known_distances_of_pictures(squeeze: LPIPSNetwork, shared_dir: Path) -> None:
    pictures = [
        torch.from_numpy(np.array(Image.open(shared_dir / "data" / "lpips_squeeze" / f"ex_{name}.png").convert("RGB")))
        for name in ("ref", "p0", "p1")
    ]
    ref, *others = [p.permute(2, 0, 1)[None, None] for p in pictures]
    for other, wanted in zip(others, (0.7110, 0.1479), strict=True):
        metric = LPIPS(squeeze)
        metric.update(other, ref)
        assert float(metric.compute()) == pytest.approx(wanted, abs=6e-5)


def package(net: Backbone, backbone: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The network of the package ``lpips`` itself, with its own channel weights and our backbone."""

    def empty(architecture: str) -> Callable[[bool], nn.Module]:
        def build(pretrained: bool) -> nn.Module:
            with torch.device("meta"):
                return getattr(models, architecture)(weights=None)

        return build

    zoo = {tower.model: empty(tower.model) for tower in TOWERS.values()}
    monkeypatch.setattr(lpips.pretrained_networks, "tv", SimpleNamespace(**zoo))
    network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    wanted = {key: f"features.{key.partition('.')[2]}" for key in network.net.state_dict()}
    network.net.load_state_dict({key: backbone[ours] for key, ours in wanted.items()}, assign=True)
    return network


@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
@torch.no_grad()
def test_distance_is_that_of_the_package(net: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file of weights to a number, as users get it."""
    backbone = random_backbone(net)
    torch.save(backbone, tmp_path / "weights.pth")
    ours = PretrainedLPIPS(net, str(tmp_path / "weights.pth")).network
    a, b = torch.rand(2, 2, 3, 64, 80, generator=torch.Generator().manual_seed(1)).mul(2).sub(1)
    expected = package(net, backbone, monkeypatch)(a, b)
    assert expected.shape == (2, 1, 1, 1)
    assert expected.min() > 0.01
    torch.testing.assert_close(ours(a, b), expected.flatten(), rtol=1e-5, atol=1e-7)


def test_the_network_keeps_the_names_that_its_hash_stands_for(small: LPIPSNetwork) -> None:
    """Values that were stored with a protocol stay comparable."""
    names = set(small.state_dict())
    assert {"layers.0.weight", "layers.12.expand3x3.bias", "head0", "head6", "mean", "std"} <= names
    assert {name.partition(".")[0] for name in names} == {"layers", "mean", "std", *(f"head{i}" for i in range(7))}


@pytest.fixture(scope="module")
def small() -> LPIPSNetwork:
    return LPIPSNetwork("squeeze", random_backbone("squeeze"), heads("squeeze"))


def videos(b: int, t: int, side: int = 64, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (b, t, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def test_given_frame_counts_unless_skipped(small: LPIPSNetwork) -> None:
    real, fake = videos(2, 4), videos(2, 4, seed=1)
    fake[:, 0] = real[:, 0]
    counted, skipped = LPIPS(small, chunk=3), LPIPS(small, skip_first=True)
    for metric in (counted, skipped):
        for i in range(2):
            metric.update(fake[i : i + 1], real[i : i + 1])
    assert float(counted.compute()) == pytest.approx(float(skipped.compute()) * 3 / 4, rel=1e-5)
    values = [LPIPS(small) for _ in range(2)]
    for i, metric in enumerate(values):
        metric.update(fake[i : i + 1], real[i : i + 1])
    spread = torch.stack([m.compute() for m in values]).std(correction=0)
    torch.testing.assert_close(counted.deviation(), spread, rtol=1e-4, atol=1e-7)


def test_small_frames_are_enlarged_and_same_frames_are_alike(small: LPIPSNetwork) -> None:
    metric = LPIPS(small)
    metric.update(videos(1, 2, side=16), videos(1, 2, side=16))
    assert float(metric.compute()) == 0.0
    metric.update(videos(1, 2, side=16, seed=1), videos(1, 2, side=16))
    assert float(metric.compute()) > 0


def test_other_weights_and_frames_are_refused(small: LPIPSNetwork) -> None:
    with pytest.raises(ValueError, match="alexnet"):
        LPIPSNetwork("alex", random_backbone("squeeze"), heads("alex"))
    with pytest.raises(ValueError, match="not for squeeze"):
        LPIPSNetwork("squeeze", random_backbone("squeeze"), heads("alex"))
    with pytest.raises(ValueError, match="uint8"):
        LPIPS(small).update(videos(1, 2).float(), videos(1, 2))
    with pytest.raises(ValueError, match="more than 1"):
        LPIPS(small, skip_first=True).update(videos(1, 1), videos(1, 1))
