"""Root rules, scaling, and how datasets are found."""

from pathlib import Path

import pytest
import torch

from mutoscope.data import registry
from mutoscope.data.motion import canonicalise
from mutoscope.data.toy_motion import ToyMotion
from mutoscope.structures import NTU25


def toy(**settings: object) -> ToyMotion:
    data = ToyMotion(clips_per_class=4, val_clips_per_class=2, classes=["run", "jump"], **settings)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup()
    return data


def clips(data: ToyMotion) -> torch.Tensor:
    return data.dataset("train").__getitems__(list(range(len(data.dataset("train"))))).joints


def test_in_place_keeps_heights_and_poses_and_takes_the_way_out() -> None:
    moving, still = clips(toy(root_rule="relative")), clips(toy(root_rule="in_place"))
    torch.testing.assert_close(still[..., 1], moving[..., 1])
    assert not still[:, :, NTU25.root, [0, 2]].any()
    torch.testing.assert_close(
        still - still[:, :, NTU25.root, None], moving - moving[:, :, NTU25.root, None], atol=1e-5, rtol=1e-5
    )
    assert (moving[:, -1, NTU25.root, 2].abs() > 1.0).any()


def test_relative_starts_at_the_origin_and_none_stays_there() -> None:
    joints = torch.randn(3, 8, 25, 3)
    relative = canonicalise(joints, NTU25, "relative", align_heading=False)
    assert not relative[:, 0, NTU25.root, [0, 2]].any()
    torch.testing.assert_close(relative[..., 1], joints[..., 1])
    assert not canonicalise(joints, NTU25, "none", align_heading=False)[:, :, NTU25.root].any()
    assert torch.equal(canonicalise(joints, NTU25, "absolute", align_heading=False), joints)


def test_aligned_people_have_their_left_hip_at_positive_x() -> None:
    turned = canonicalise(torch.randn(16, 4, 25, 3), NTU25, "absolute", align_heading=True)
    across = turned[:, 0, NTU25.hips[0]] - turned[:, 0, NTU25.hips[1]]
    assert (across[:, 0] > 0).all()
    torch.testing.assert_close(across[:, 2], torch.zeros(16), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scaling", ["array", "coordinate"])
def test_training_clips_fill_the_range_of_the_network(scaling: str) -> None:
    data = toy(scaling=scaling)
    scaled = data.info.need_normaliser().normalise(clips(data))
    extremes = [scaled] if scaling == "array" else list(scaled.unbind(dim=-1))
    for values in extremes:
        assert values.min().item() == pytest.approx(-1, abs=1e-5)
        assert values.max().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(data.info.need_normaliser().denormalise(scaled), clips(data), atol=1e-5, rtol=1e-5)


def test_wrong_choices_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="root_rule is 'inplace', expected one of none, in_place, relative, absolute"):
        ToyMotion(root_rule="inplace")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scaling is 'axis'"):
        ToyMotion(scaling="axis")  # type: ignore[arg-type]


def test_names_are_found_without_importing_and_agree_with_the_registry() -> None:
    assert set(registry.names_without_import()) == set(registry.datamodules())


def test_modules_named_in_the_environment_are_datasets_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "walkers_of_mine.py").write_text(
        "from mutoscope.data.registry import register\nfrom mutoscope.data.toy_motion import ToyMotion\n"
        "@register('walkers')\nclass Walkers(ToyMotion):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "walkers_of_mine")
    try:
        assert "walkers" in registry.names_without_import()
        assert registry.datamodule_class("walkers").__name__ == "Walkers"
    finally:
        registry._classes.pop("walkers", None)
