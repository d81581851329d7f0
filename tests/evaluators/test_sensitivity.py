"""Which metric sees what: what each must see, and what it cannot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mutoscope.evaluators.sensitivity import FLOOR, Sensitivity, sensitivity, small_metrics
from mutoscope.metrics.frame_foils import frame_foils
from mutoscope.render.sensitivity_map import draw_sensitivity


def clips(n: int, t: int = 8, side: int = 32) -> Tensor:
    """Textures that move to the right, each at its own pace."""
    g = torch.Generator().manual_seed(0)
    base = torch.randint(0, 255, (n, 3, side // 4, side // 4), generator=g).float()
    still = torch.nn.functional.interpolate(base, side, mode="bilinear")
    moved = [torch.stack([one.roll(s * (1 + i % 3), -1) for s in range(t)]) for i, one in enumerate(still)]
    return torch.stack(moved).round().byte()


@pytest.fixture(scope="module")
def found() -> Sensitivity:
    return sensitivity(clips(24), small_metrics(), draws=4, count=12)


def test_metrics_see_what_they_can(found: Sensitivity) -> None:
    effect = {
        (metric, foil): float(found.effects[i, j])
        for i, metric in enumerate(found.metrics)
        for j, foil in enumerate(found.rows[1:])
    }
    # frames are a set to metrics of frames
    for metric in ("smoke/fid", "smoke/kid", "smoke/precision", "smoke/recall"):
        for foil in ("shuffled frames", "reversed", "other clips' frames"):
            assert abs(effect[metric, foil]) < 0.01, (metric, foil)
    for foil in ("frozen first frame", "shuffled frames"):
        assert effect["smoke/fvd", foil] > 2, foil
    for foil in ("blurred", "noisy"):
        assert effect["smoke/fid", foil] > 2, foil
    assert effect["smoke/recall", "half of the modes"] > 0
    assert effect["warping_error", "noisy"] > effect["warping_error", "half of the modes"]
    # no worse is told of clips that are compared with what they were made of
    assert effect["psnr", "half of the modes"] < 0
    assert set(found.rows) == {FLOOR, *(foil.name for foil in frame_foils(clips(2)))}
    assert found.values.shape == (4, len(found.metrics), len(found.rows))


def test_it_is_told_as_a_table_and_a_picture(found: Sensitivity, tmp_path: Path) -> None:
    lines = found.markdown().splitlines()
    assert len(lines) == 2 + len(found.metrics)
    assert lines[2].startswith("| `smoke/fid` |")
    paths = draw_sensitivity(tmp_path / "see.png", found.effects.numpy(), found.metrics, found.rows[1:])
    assert [path.suffix for path in paths] == [".png", ".svg"]
    pixels = np.asarray(Image.open(paths[0]).convert("RGB")).astype(int)
    assert (pixels.max(axis=-1) - pixels.min(axis=-1)).max() > 60, "nothing is coloured"


def test_the_same_draws_give_the_same_numbers() -> None:
    names = ("psnr", "warping_error")
    once, again = (
        sensitivity(clips(8), {name: small_metrics()[name] for name in names}, draws=2, count=4).values
        for _ in range(2)
    )
    assert torch.equal(once, again)


def test_too_little_to_draw_from_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="There are 8 clips for 5 draws of twice 12; expected at least 24 clips"):
        sensitivity(clips(8), {})


def test_foils_break_one_thing_each() -> None:
    real = clips(6)
    made = {foil.name: foil.clips for foil in frame_foils(real)}
    assert all(x.shape == real.shape and x.dtype == torch.uint8 for x in made.values())
    assert torch.equal(made["frozen first frame"][:, 5], real[:, 0])
    assert torch.equal(made["reversed"].flip(1), real)
    assert torch.equal(made["dropped frames"][:, 1::2], real[:, ::2])
    pixels = [x.flatten(2).sort(dim=1).values for x in (made["shuffled frames"], real)]
    assert torch.equal(*pixels)
    assert torch.equal(made["half of the modes"], torch.cat([real[:3], real[:3]]))
    everywhere = made["other clips' frames"]
    assert all(torch.equal(everywhere[:, t].sort(dim=0).values, real[:, t].sort(dim=0).values) for t in range(8))
    again = {foil.name: foil.clips for foil in frame_foils(real)}
    assert all(torch.equal(made[name], again[name]) for name in made)
