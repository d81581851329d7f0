"""The CMU data module on a tree of made-up recordings, and on real ones where they are at hand."""

import csv
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cmu_mocap_tree import TAKES, write_tree
from places import SHARED

from mutoscope.data.motion import cmu_mocap
from mutoscope.data.motion.cmu_mocap import CmuMocap
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.asf_amc import forward_kinematics, read_amc, read_asf
from mutoscope.structures import CMU31, MotionBatch


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("cmu") / "tree")


def module(root: Path, ready: bool = True, **changes: Any) -> CmuMocap:
    values: dict[str, Any] = {"root": str(root), "cache_dir": str(root.parent / "cache"), "length": 16, "batch_size": 4}
    data = CmuMocap(**(values | changes))
    if ready:
        data.prepare_data()
        data.setup()
    return data


def test_batches_are_what_the_description_says(tree: Path) -> None:
    data = module(tree)
    assert datamodule_class("cmu_mocap") is CmuMocap
    info = data.info
    assert (info.name, info.classes, info.fps, info.length) == ("cmu_mocap", ("bow", "walk", "wave"), 30.0, 16)
    assert (info.root, info.units, info.need_skeleton().name) == ("relative", "m", "ntu25")
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, MotionBatch)
    assert batch.joints.shape == (4, 16, 25, 3)
    assert batch.joints.dtype == torch.float32
    assert batch.mask.all()
    scaled = info.need_normaliser().normalise(data.dataset("train").__getitems__([0, 1]).joints)
    assert scaled.abs().max() <= 1 + 1e-5
    flat = module(tree, channels=2, skeleton="h36m16").dataset("val").__getitems__([0])
    assert flat.joints.shape == (1, 16, 16, 2)


@pytest.mark.parametrize("name", ["ntu25", "h36m16", "h36m15", "cmu31"])
def test_everybody_faces_forward_and_walks_ahead_at_recorded_height(tree: Path, name: str) -> None:
    data = module(tree, skeleton=name)
    windows = data.dataset("train")
    joints = windows.__getitems__(list(range(len(windows)))).joints
    skeleton = data.skeleton
    left, right = skeleton.hips
    assert (joints[:, 0, left, 0] > joints[:, 0, right, 0] + 0.1).all()
    torch.testing.assert_close(joints[:, 0, left, 2], joints[:, 0, right, 2], atol=1e-5, rtol=0)
    moved = joints[:, -1, skeleton.root] - joints[:, 0, skeleton.root]
    unit = 0.0254 / 0.45
    torch.testing.assert_close(moved[:, 2], torch.full_like(moved[:, 2], 10 * unit * 15 / 30), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, 0], torch.zeros_like(moved[:, 0]), atol=1e-4, rtol=0)
    lowest = joints[..., 1].amin(dim=(1, 2))
    # the ankles lie 5.2 units below the root, which stands at 7 for subject 01 and at 8 for subject 02
    expected = torch.where(windows.label == 0, 8 - 5.2, 7 - 5.2) * unit
    torch.testing.assert_close(lowest, expected, atol=1e-4, rtol=0)


def test_cuts_of_one_take_stay_on_one_side(tree: Path) -> None:
    for seed in range(8):
        data = module(tree, split_seed=seed)
        sides = [{Path(name).stem.rstrip("_abc") for name in data.clips(split).names} for split in ("train", "val")]
        assert not sides[0] & sides[1]
        assert len(sides[0] | sides[1]) == 8
        assert np.bincount(data.clips("val").label, minlength=3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("short", "real_frames", "repeated"), [("loop", 30, 0), ("pad", 24, 23)])
def test_short_recordings_are_looped_or_padded(tree: Path, short: str, real_frames: int, repeated: int) -> None:
    # the four waves last 24 frames; one take of two cuts is held out
    data = module(tree, length=30, short=short)
    assert data.dropped() == {}
    train = data.dataset("train")
    waves = (train.label == data.info.label("wave")).nonzero()[:, 0].tolist()
    assert len(waves) == 2
    batch = train.__getitems__(waves)
    assert batch.mask.sum(dim=1).tolist() == [real_frames] * 2
    pose = batch.joints - batch.joints[:, :, :1]
    torch.testing.assert_close(pose[:, 24], pose[:, repeated])


def test_no_class_vanishes_silently(tree: Path) -> None:
    with pytest.raises(ValueError, match="No training window of 30 frames is left for wave"):
        module(tree, length=30)


def test_losses_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    takes = [*TAKES, ("walk", "01", "20", "", 10, 30), ("wave", "01", "21", "", 9, 30), ("wave", "01", "22", "", 8, 30)]
    with caplog.at_level(logging.INFO, logger="mutoscope"):
        module(write_tree(tmp_path / "tree", takes))
    assert "13 recordings" in caplog.text
    assert "shorter than 16 frames were dropped: " in caplog.text
    assert "walk 1" in caplog.text
    assert "wave 2" in caplog.text
    assert "No validation window for bow" in caplog.text


def test_all_frame_rates_become_one(tree: Path) -> None:
    data = module(tree)
    store = data.store
    bow = [recording.label for recording in store.recordings].index(0)
    assert store.frames[bow] == 31
    amc = read_amc(tree / "bow/02_01.amc", read_asf(tree / "asf/02.asf"))
    root = amc.translation[::4]
    slow = module(tree, fps=15.0, length=10)
    assert slow.store.frames[bow] == 16
    for store, positions in ((data.store, root), (slow.store, root[::2])):
        start, frames = store.start[bow], store.frames[bow]
        path = store.joints[start : start + frames, 0]
        np.testing.assert_allclose(path - path[0], positions - positions[0], atol=1e-5)


def test_a_second_start_reads_no_recording(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = module(tree)

    def unexpected(*args: object) -> None:
        raise AssertionError("a recording was read again")

    monkeypatch.setattr(cmu_mocap, "read_amc", unexpected)
    monkeypatch.setattr(cmu_mocap, "read_asf", unexpected)
    second = module(tree)
    assert second.fingerprint == first.fingerprint
    assert second.info == first.info


def test_the_fingerprint_follows_files_and_settings(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    base = module(root, ready=False).fingerprint
    changes: list[dict[str, Any]] = [{"length": 8}, {"split_seed": 1}, {"skeleton": "h36m16"}, {"fps": 25.0}]
    changes += [{"root_rule": "none"}, {"classes": ["walk"]}, {"val_fraction": 0.5}, {"stride": 1}, {"channels": 2}]
    assert len({base, *(module(root, ready=False, **change).fingerprint for change in changes)}) == len(changes) + 1
    assert module(root, ready=False, batch_size=7, num_workers=1).fingerprint == base
    os.utime(root / "asf/01.asf", ns=(0, 0))
    assert module(root, ready=False).fingerprint != base


def test_classes_are_chosen_and_ordered(tree: Path) -> None:
    data = module(tree, classes=["wave", "walk"])
    assert data.info.classes == ("wave", "walk")
    names = [data.clips("train").names[i] for i in np.flatnonzero(data.clips("train").label == 0)]
    assert names
    assert all(name.startswith("wave/") for name in names)


def test_setup_needs_prepared_data(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no prepared recordings .* call prepare_data\(\)"):
        module(tree, ready=False, cache_dir=str(tmp_path)).setup()


def rewritten(index: Path, old: str, new: str) -> None:
    text = index.read_text()
    assert old in text
    index.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("label", "class", r"index\.csv: it has no column label; expected a first line with file, label"),
        ("walk/01_00.amc,walk", "walk/01_00.amc,", r"index\.csv, line 2: no value for label"),
        ("asf/01.asf,40,30", "asf/01.asf,40,fast", r"line 2: fps is 'fast' and frames '40', expected"),
        ("asf/01.asf,40,30", "asf/01.asf,4.5,30", r"line 2: fps is '30' and frames '4\.5', expected"),
        ("asf/01.asf,40,30", "asf/01.asf,40,0", r"line 2: fps is '0'"),
        ("walk/01_01", "walk/01_00", r"lists walk/01_00\.amc more than once"),
        ("walk/01_00.amc", "walk/none.amc", r"Missing files: .*none\.amc"),
    ],
)
def test_what_is_wrong_with_an_index(tmp_path: Path, old: str, new: str, message: str) -> None:
    root = write_tree(tmp_path / "tree")
    rewritten(root / "index.csv", old, new)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        module(root)


def test_frames_may_be_left_out_of_the_index(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    lines = [line.split(",") for line in (root / "index.csv").read_text().splitlines()]
    (root / "index.csv").write_text("\n".join(",".join(line[:5] + line[6:]) for line in lines))
    assert len(module(root).clips("train").names) > 0


def test_wrong_arguments(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"given no folder; .*mocap\.cs\.cmu\.edu.*dataset\.root="):
        CmuMocap()
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none; expected a folder with index\.csv"):
        CmuMocap(root=str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"There is no index .*other\.csv"):
        CmuMocap(root=str(tree), index="other.csv")
    with pytest.raises(ValueError, match="There is no class 'swim' in the index; its classes are bow, walk, wave"):
        CmuMocap(root=str(tree), classes=["swim"])
    with pytest.raises(ValueError, match="none of them twice"):
        CmuMocap(root=str(tree), classes=["walk", "walk"])
    with pytest.raises(ValueError, match="There is no skeleton 'smpl'"):
        CmuMocap(root=str(tree), skeleton="smpl")
    with pytest.raises(ValueError, match="fps is 0"):
        CmuMocap(root=str(tree), fps=0)
    with pytest.raises(ValueError, match="val_fraction is 1, expected"):
        CmuMocap(root=str(tree), val_fraction=1)
    (tmp_path / "index.csv").write_text("file,label,subject,trial,asf,fps\n")
    with pytest.raises(ValueError, match="lists no recordings"):
        CmuMocap(root=str(tmp_path))


def test_a_skeleton_of_another_layout_is_refused(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    asf, amc = root / "asf/01.asf", root / "walk/01_00.amc"
    asf.write_text(asf.read_text().replace("lthumb", "lpinky"))
    amc.write_bytes(amc.read_bytes().replace(b"lthumb", b"lpinky"))
    with pytest.raises(ValueError, match=r"left for walk, wave .*01_00\.amc lacks the bones lthumb of the CMU layout"):
        module(root)


def test_bad_recordings_are_left_out_counted_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_tree(tmp_path / "tree")
    rewritten(root / "index.csv", "asf/01.asf,40,30", "asf/01.asf,41,30")
    (root / "walk/01_01.amc").write_bytes(b"\x00\xff no motion")
    data = module(root)
    assert {one.name: one.reason for one in data.store.skipped} == {
        "walk/01_00.amc": "cannot be read",
        "walk/01_01.amc": "cannot be read",
    }
    listed = (data.store_path / "skipped.txt").read_text()
    assert "01_00.amc holds 40 frames, but the index says 41; is it cut short" in listed
    assert "2 recordings are left out (2 cannot be read)" in capsys.readouterr().out
    assert "walk/01_00.amc" not in data.clips("train").names + data.clips("val").names
    module(root)
    assert "2 recordings are left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (
            "0.0045",
            r"124 m tall along their bones, expected 0\.5 to 3 m: about 100 times too large\. .*unit=0\.05",
        ),
        ("45", r"1\.24 cm tall .* about 100 times too small\. .*dataset\.unit=0\.05"),
        ("0.1", r"5\.59 m tall .* times too large"),
    ],
)
def test_lengths_that_make_giants_or_dwarfs(tmp_path: Path, length: str, said: str) -> None:
    root = write_tree(tmp_path / "tree")
    right = module(root).store.joints
    for asf in (root / "asf").iterdir():
        asf.write_text(asf.read_text().replace("length 0.45", f"length {length}"))
    with pytest.raises(ValueError, match=said):
        module(root)
    np.testing.assert_allclose(module(root, unit=0.0254 / 0.45).store.joints, right, rtol=1e-5, atol=1e-6)


def test_frames_in_steps_are_taken_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_tree(tmp_path / "tree")
    file = root / "walk/01_00.amc"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(str(4 * int(one) - 3) if one.isdecimal() else one for one in lines))
    whole = module(write_tree(tmp_path / "other")).store.joints
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(module(root).store.joints, whole)
    assert "1 recordings number their frames in steps (walk/01_00.amc: 4)" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_index_from_a_spreadsheet(tmp_path: Path, encoding: str) -> None:
    root = write_tree(tmp_path / "tree")
    index = root / "index.csv"
    expected = module(root).store.recordings
    index.write_text(index.read_text().replace(",", " ; "), encoding=encoding)
    assert module(root).store.recordings == expected


REAL = SHARED / "data" / "cmu_mocap"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the CMU recordings are not at hand")


@pytest.fixture(scope="module")
def recorded() -> dict[str, tuple[str, np.ndarray]]:
    """Label and ``[f, 31, 3]`` positions of every clip."""
    clips = {}
    with (REAL / "index.csv").open(newline="") as index:
        for row in csv.DictReader(index):
            skeleton = read_asf(REAL / row["asf"])
            joints = forward_kinematics(skeleton, read_amc(REAL / row["file"], skeleton))
            assert skeleton.joints == CMU31.joints
            assert skeleton.parents == CMU31.parents
            assert len(joints) == int(row["frames"])
            clips[row["file"]] = (row["label"], joints)
    return clips


@real
def test_real_people_have_the_known_measures(recorded: dict[str, tuple[str, np.ndarray]]) -> None:
    assert len(recorded) == 110
    by_label: dict[str, list[np.ndarray]] = {}
    for label, joints in recorded.values():
        by_label.setdefault(label, []).append(joints)
    assert len(by_label) == 12
    lowest = [min(joints[..., 1].min() for joints in clips) for clips in by_label.values()]
    tallest = [max(np.ptp(joints[..., 1], axis=1).max() for joints in clips) for clips in by_label.values()]
    assert (round(min(lowest), 2), round(max(lowest), 2)) == (-0.12, 0.03)
    assert (round(min(tallest), 2), round(max(tallest), 2)) == (1.65, 1.96)

    def speed(label: str) -> float:
        steps = [np.linalg.norm(np.diff(joints[:, 0], axis=0), axis=-1).mean() * 30 for joints in by_label[label]]
        return float(np.mean(steps))

    assert speed("walk") == pytest.approx(1.36, abs=0.005)
    assert speed("run") == pytest.approx(3.19, abs=0.005)
    feet = [CMU31.index("lfoot"), CMU31.index("rfoot")]
    assert max(joints[:, feet, 1].max() for joints in by_label["kick"]) == pytest.approx(1.49, abs=0.005)
    assert min(joints[:, 0, 1].min() for joints in by_label["sit"]) == pytest.approx(0.52, abs=0.005)


@real
def test_real_bones_keep_their_lengths(recorded: dict[str, tuple[str, np.ndarray]]) -> None:
    parents, children = (list(ends) for ends in zip(*CMU31.bones, strict=True))
    for _, joints in recorded.values():
        length = np.linalg.norm(joints[:, children] - joints[:, parents], axis=-1)
        np.testing.assert_allclose(length, length[:1].repeat(len(length), axis=0), atol=1e-9)


@real
@pytest.mark.parametrize("clip", ["run/02_03", "run/09_01", "jump/16_01", "run/16_36"])
def test_clips_are_every_fourth_frame_of_the_recording(recorded: dict[str, tuple[str, np.ndarray]], clip: str) -> None:
    take = clip.split("/")[1]
    skeleton = read_asf(REAL / "asf" / f"{take[:2]}.asf")
    native = forward_kinematics(skeleton, read_amc(REAL / "amc_native_120fps" / f"{take}.amc", skeleton))
    np.testing.assert_array_equal(recorded[f"amc/{clip}.amc"][1], native[::4])


@pytest.fixture(scope="module")
def parsed_once() -> Iterator[None]:
    """A file is parsed once, whatever skeletons its people get."""
    parse, found = cmu_mocap._positions, dict[Path, Any]()

    def remembered(path: Path, *others: Any) -> Any:
        if path not in found:
            found[path] = parse(path, *others)
        return found[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cmu_mocap, "_positions", remembered)
        yield


@real
@pytest.mark.usefixtures("parsed_once")
@pytest.mark.parametrize("name", ["ntu25", "h36m16"])
def test_real_windows(tmp_path: Path, name: str) -> None:
    data = module(REAL, skeleton=name, cache_dir=str(tmp_path), length=32)
    assert data.dropped() == {}
    takes = [{Path(clip).stem.rstrip("_abc") for clip in data.clips(split).names} for split in ("train", "val")]
    assert not takes[0] & takes[1]
    for split in ("train", "val"):
        assert set(data.dataset(split).label.tolist()) == set(range(12))
    skeleton = data.skeleton
    clips = [data.clips("train"), data.clips("val")]
    # limbs are rigid, and the two sides of a person are alike; the thumb starts at the wrist, not at the hand
    names = [(a, b, skeleton.joints[a], skeleton.joints[b]) for a, b in skeleton.bones]
    limbs = [(a, b) for a, b, of, to in names if of.startswith("left") and to.startswith("left") and "thumb" not in to]
    mirror = dict(skeleton.mirror)
    for start, frames in ((s, f) for c in clips for s, f in zip(c.start, c.frames, strict=True)):
        joints = clips[0].joints[start : start + frames]
        for a, b in limbs:
            left = np.linalg.norm(joints[:, a] - joints[:, b], axis=-1)
            right = np.linalg.norm(joints[:, mirror[a]] - joints[:, mirror[b]], axis=-1)
            assert np.ptp(left) < 1e-4
            assert abs(left.mean() - right.mean()) < 0.06
            if (skeleton.joints[a], skeleton.joints[b]) == ("left_hip", "left_knee"):
                assert 0.35 < left.mean() < 0.55
    train = data.dataset("train")
    walks = train.__getitems__((train.label == data.info.label("walk")).nonzero()[:, 0].tolist())
    ahead = walks.joints[:, -1, skeleton.root, 2] - walks.joints[:, 0, skeleton.root, 2]
    assert (ahead > 0).float().mean() > 0.9
    # knees bend forward: between hip and ankle, the knee lies in front
    hip, knee = skeleton.index("left_hip"), skeleton.index("left_knee")
    ankle = skeleton.index("left_ankle" if name == "ntu25" else "left_foot")
    bend = walks.joints[:, 0, knee, 2] - (walks.joints[:, 0, hip, 2] + walks.joints[:, 0, ankle, 2]) / 2
    assert bend.median() > 0.01
    head = skeleton.index("head")
    assert (walks.joints[..., head, 1] - walks.joints[..., ankle, 1]).min() > 0.9
