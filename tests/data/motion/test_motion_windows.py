"""Root rules, scaling, and how datasets are found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mutoscope.data import registry
from mutoscope.data.motion.scaling import moments
from mutoscope.data.motion.toy_motion import ToyMotion
from mutoscope.data.motion.windows import MotionClips, MotionWindows, canonicalise
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


@pytest.mark.parametrize("root_rule", ["relative", "in_place", "none"])
def test_z_scores_of_training_clips(root_rule: str) -> None:
    data = toy(scaling="joint", root_rule=root_rule)
    normaliser = data.info.need_normaliser()
    scaled = normaliser.normalise(clips(data))
    frames = scaled.double().flatten(0, 1)
    torch.testing.assert_close(frames.mean(dim=0), torch.zeros(25, 3).double(), atol=1e-4, rtol=0)
    spread = frames.std(dim=0, correction=0)
    held = torch.zeros(25, 3, dtype=torch.bool)
    if root_rule != "relative":
        held[NTU25.root, [0, 2]] = True
    held[NTU25.root, 1] = root_rule == "none"
    torch.testing.assert_close(spread[~held], torch.ones_like(spread[~held]), atol=1e-3, rtol=0)
    assert not spread[held].any()
    assert scaled.abs().max() < 30
    torch.testing.assert_close(normaliser.denormalise(scaled), clips(data), atol=1e-5, rtol=1e-5)


def test_z_scores_may_be_brought_to_the_range_of_the_network() -> None:
    z_scores = toy(scaling="joint").info.need_normaliser().normalise(clips(toy()))
    data = toy(scaling="joint_array")
    scaled = data.info.need_normaliser().normalise(clips(data))
    wanted = 2 * (z_scores - z_scores.min()) / (z_scores.max() - z_scores.min()) - 1
    torch.testing.assert_close(scaled, wanted, atol=1e-5, rtol=1e-4)


def test_padded_frames_do_not_count_among_z_scores() -> None:
    joints = torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(5) < torch.tensor([[5], [2], [4]])
    mean, sigma = moments([joints[:1], joints[1:]], [mask[:1], mask[1:]])
    real = joints[mask].double()
    torch.testing.assert_close(mean, real.mean(dim=0))
    torch.testing.assert_close(sigma, real.std(dim=0, correction=0))
    with pytest.raises(ValueError, match="no frames at all"):
        moments([joints], [torch.zeros_like(mask)])


def test_windows_take_every_third_frame_and_move_on_with_every_pass() -> None:
    joints = np.arange(40, dtype=np.float32)[:, None, None].repeat(25, axis=1).repeat(3, axis=2)
    numbers = (np.array([0, 17]), np.array([17, 23]), np.array([0, 1]))
    windows = MotionWindows(
        MotionClips(joints, *numbers, ["a", "b"]), NTU25, 4, 5, "drop", "absolute", False, frame_stride=3, shift=True
    )
    # 10 frames long, so that starts are 0..7 of 17 frames and 0..13 of 23
    assert windows.first.tolist() == [0, 5, 0, 5, 10]
    for passes, first in (
        (0, [0, 5, 17, 22, 27]),
        (2, [2, 7, 19, 24, 29]),
        (4, [4, 7, 21, 26, 30]),
        (5, [0, 5, 17, 22, 27]),
    ):
        found = windows.__getitems__([5 * passes + i for i in range(5)])
        assert found.joints[:, :, 0, 0].tolist() == [[s, s + 3, s + 6, s + 9] for s in first]
        assert found.label.tolist() == [0, 0, 1, 1, 1]


def test_wrong_choices_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="root_rule is 'inplace', expected one of none, in_place, relative, absolute"):
        ToyMotion(root_rule="inplace")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scaling is 'axis'"):
        ToyMotion(scaling="axis")  # type: ignore[arg-type]


def test_names_are_found_without_importing_and_agree_with_the_registry() -> None:
    assert set(registry.names_without_import()) == set(registry.datamodules())


def test_modules_named_in_the_environment_are_datasets_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "walkers_of_mine.py").write_text(
        "from mutoscope.data.registry import register\nfrom mutoscope.data.motion.toy_motion import ToyMotion\n"
        "@register('walkers')\nclass Walkers(ToyMotion):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "walkers_of_mine")
    try:
        assert "walkers" in registry.names_without_import()
        assert registry.datamodule_class("walkers").__name__ == "Walkers"
    finally:
        registry._classes.pop("walkers", None)
