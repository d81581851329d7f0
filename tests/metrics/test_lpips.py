from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

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


@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
@torch.no_grad()
def test_distance_is_that_of_features_one_by_one(net: Backbone) -> None:
    backbone, channel = random_backbone(net), heads(net)
    network = LPIPSNetwork(net, backbone, channel)
    g = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 2, 3, 64, 64, generator=g).mul(2).sub(1)
    with torch.device("meta"):
        layers: nn.Sequential = getattr(models, TOWERS[net].model)(weights=None).features
    layers.load_state_dict({k.removeprefix("features."): v for k, v in backbone.items()}, assign=True)
    mean, std = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    for i in range(2):
        total = 0.0
        for number, tap in enumerate(TOWERS[net].taps):
            x, y = (layers[: tap + 1](((p[i] - mean[:, None, None]) / std[:, None, None])[None])[0] for p in (a, b))
            weight = channel[f"lin{number}.model.1.weight"].flatten()
            for row in range(x.shape[1]):
                u, v = x[:, row] / x[:, row].norm(dim=0), y[:, row] / y[:, row].norm(dim=0)
                square = torch.nan_to_num(u - v).square()
                total += float((weight[:, None] * square).sum()) / (x.shape[1] * x.shape[2])
        assert float(network(a, b)[i]) == pytest.approx(total, rel=1e-3)


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
