"""How tall and fast recorded people are."""

from pathlib import Path

import numpy as np
import pytest

from mutoscope.data.motion.toy_motion import ToyMotion
from mutoscope.data.motion.units import UNITS, UnitError, check_people, metres_per_unit, stature
from mutoscope.structures import skeleton

#: standing, in metres, y up
HEIGHTS = {
    "hip": 0.95,
    "right_hip": 0.95,
    "right_knee": 0.5,
    "right_foot": 0.08,
    "left_hip": 0.95,
    "left_knee": 0.5,
    "left_foot": 0.08,
    "spine": 1.2,
    "thorax": 1.45,
    "neck": 1.55,
    "head": 1.7,
}
BODY = skeleton("h36m16")


def standing(frames: int = 8) -> np.ndarray:
    pose = np.zeros((BODY.num_joints, 3))
    pose[:, 1] = [HEIGHTS.get(joint, 1.4) for joint in BODY.joints]
    return np.repeat(pose[None], frames, 0)


def test_stature_is_along_the_bones_in_every_pose() -> None:
    assert stature(standing(), BODY) == pytest.approx(1.62)
    rng = np.random.default_rng(0)
    turned = standing() @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + rng.normal(size=3)
    assert stature(turned, BODY) == pytest.approx(1.62)
    # the knee at the hip: somebody sits on their heels
    sitting = standing()
    for side in ("left", "right"):
        sitting[:, BODY.index(f"{side}_knee"), 1] = 1.4
        sitting[:, BODY.index(f"{side}_foot"), 1] = 0.98
    assert stature(sitting, BODY) == pytest.approx(1.62)


@pytest.mark.parametrize(
    ("taken", "true"),
    [("m", "mm"), ("mm", "m"), ("cm", "m"), ("m", "cm"), ("m", "in"), ("in", "cm"), ("m", "ft")],
)
def test_mix_ups_of_units_are_named_with_the_setting_that_mends_them(taken: str, true: str) -> None:
    seen = standing() * UNITS[taken] / UNITS[true]
    with pytest.raises(UnitError) as caught:
        check_people(Path("a.h5"), seen, BODY, 50, UNITS[taken])
    said = str(caught.value)
    factor = UNITS[taken] / UNITS[true]
    assert said.startswith("a.h5: people are ")
    assert f"{max(factor, 1 / factor):.3g} times too {'large' if factor > 1 else 'small'}" in said
    assert said.endswith(f"say it: dataset.unit={true}.")


def test_speeds() -> None:
    moving = standing(40)
    moving[..., 0] += np.arange(40)[:, None] * 0.1
    check_people(Path("a"), moving, BODY, 50, 1.0)
    with pytest.raises(UnitError, match="people move at 50 m/s at 500 frames per second, expected at most 15"):
        check_people(Path("a"), moving, BODY, 500, 1.0)
    # one jump of a marker is no speed
    moving[20, 3] += 5
    check_people(Path("a"), moving, BODY, 50, 1.0)


def test_points_are_no_people() -> None:
    with pytest.raises(UnitError, match=r"people are 0 m tall .*dataset\.unit=mm"):
        check_people(Path("a"), standing() * 0, BODY, 50, 1.0)


def test_what_no_mix_up_explains_is_compared_with_the_usual_height() -> None:
    with pytest.raises(UnitError, match=r"40\.5 cm tall .* about 4\.32 times too small\."):
        check_people(Path("a"), standing() / 4, BODY, 50, 1.0)


def test_units() -> None:
    assert [metres_per_unit(unit) for unit in ("mm", "m", 0.05)] == [1e-3, 1.0, 0.05]
    for bad in ("km", 0, -1.0, float("inf"), float("nan"), True):
        with pytest.raises(ValueError, match="expected one of mm, cm"):
            metres_per_unit(bad)


def test_any_dataset_of_giants_is_doubted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def ready() -> None:
        data = ToyMotion(clips_per_class=1, val_clips_per_class=1, classes=["walk"])
        data.prepare_data()
        data.setup()

    ready()
    assert caplog.text == ""
    usual = ToyMotion.clips
    monkeypatch.setattr(ToyMotion, "clips", lambda self, split: _larger(usual(self, split)))
    ready()
    assert "100 times too large, as if centimetres were taken for metres" in caplog.text


def _larger(clips):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(clips, joints=np.asarray(clips.joints) * 100)
