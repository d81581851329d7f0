"""The Human3.6M data module on small trees in its real layout: windows, scaling, prefixes, what is absent or broken."""

import logging
import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from human36m_tree import ACTIONS, positions, write_cameras, write_positions, write_tree
from safetensors.numpy import load_file

from mutoscope.data.motion import human36m
from mutoscope.data.motion.human36m import Human36m, hip_relative
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.human36m import JOINT_IDS, Camera, read_camera, read_positions
from mutoscope.structures import MotionBatch

FRAMES, SKIP, LENGTH = 60, 10, 8


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("human36m") / "tree", frames=FRAMES)


def module(root: Path, ready: bool = True, **changes: Any) -> Human36m:
    values: dict[str, Any] = {
        "root": str(root),
        "cache_dir": str(root.parent / "cache"),
        "train_subjects": [1, 5],
        "skip": SKIP,
        "length": LENGTH,
        "window_stride": 5,
        "val_window_stride": 4,
        "batch_size": 4,
    }
    data = Human36m(**(values | changes))
    if ready:
        data.prepare_data()
        data.setup()
    return data


def path_of(root: Path, subject: int, name: str) -> Path:
    return root / f"S{subject}" / "MyPoses" / "3D_positions" / f"{name}.h5"


def prepared_by_hand(root: Path, subject: int, name: str, mean_depth: float) -> np.ndarray:
    """``[f, 32, 2]`` pixels, y down."""
    pixels, depth = read_camera(root / "cameras.h5", subject, "55011271").project(
        read_positions(path_of(root, subject, name))
    )
    return (pixels - pixels[:, :1]) * (depth[:, 0] / mean_depth)[:, None, None]


def mean_depth(root: Path) -> float:
    depths = [
        read_camera(root / "cameras.h5", s, "55011271").project(read_positions(path_of(root, s, f"{a}{t}")))[1][:, 0]
        for s in (1, 5)
        for a in ACTIONS
        for t in ("", " 1")
    ]
    return float(np.concatenate(depths).mean())


def test_batches_are_what_the_description_says(tree: Path) -> None:
    data = module(tree)
    assert datamodule_class("human36m") is Human36m
    info = data.info
    assert (info.name, info.classes, info.length) == ("human36m", ACTIONS, LENGTH)
    assert info.fps == pytest.approx(50 / 3)
    assert "at 16.6667 fps" in data.describe()
    assert "one frame in 3 of 50 per second, the first 10" in data.describe()
    assert (info.root, info.units, info.channels) == ("none", "px", 2)
    assert info.need_skeleton().name == "h36m15"
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, MotionBatch)
    assert batch.joints.shape == (4, LENGTH, 15, 2)
    assert batch.joints.dtype == torch.float32
    assert batch.mask.all()
    assert module(tree, frame_stride=1, length=24).info.fps == 50


def test_the_preparation_is_the_recorded_one(golden_dir: Path, tmp_path: Path) -> None:
    file = golden_dir / "sa_gcn" / "pipeline_2d.safetensors"
    if not file.is_file():
        pytest.skip("no recordings of SA-GCN's preparation here")
    golden = load_file(file)
    cameras: dict[int, list[dict[str, np.ndarray]]] = {}
    for subject in (1, 5, 11):
        wanted = {part: golden[f"in/S{subject}/camera2/{part}"] for part in ("R", "T", "f", "c", "k", "p")}
        # only the second is used
        cameras[subject] = [wanted | {"f": wanted["f"] * 2}, wanted, wanted, wanted]
    write_cameras(tmp_path / "cameras.h5", cameras)
    recordings = {(1, "Walking"): "Walking", (1, "Walking_1"): "Walking 1", (5, "Eating"): "Eating"}
    recordings |= {(11, "Walking"): "Walking"}
    for (subject, key), name in recordings.items():
        values = golden[f"in/S{subject}/{key}/positions_world_mm"]
        write_positions(path_of(tmp_path, subject, name), values.reshape(-1, 32, 3))
    data = module(tmp_path, classes=["Eating", "Walking"], skip=0)
    ids = [JOINT_IDS[joint] for joint in data.skeleton.joints]
    assert [2 * j + c for j in ids for c in (0, 1)] == golden["out/dim_to_use"].tolist()
    assert data._mean_depth == pytest.approx(float(golden["out/mean_hip_depth"][0]), rel=1e-12)
    normaliser = data.info.need_normaliser()
    wanted_mean = golden["out/mean64"].reshape(32, 2)[ids] * (1, -1)
    wanted_std = golden["out/std64"].reshape(32, 2)[ids] * (1, -1)
    np.testing.assert_allclose(np.array(normaliser.offset), wanted_mean, atol=1e-4)
    np.testing.assert_allclose(np.array(normaliser.scale), wanted_std, rtol=1e-6)
    store = data.store
    for one, start, frames in zip(store.recordings, store.start, store.frames, strict=True):
        key = one.name.replace(" ", "_")
        found = normaliser.normalise(torch.from_numpy(np.array(store.joints[start : start + frames])))
        wanted = golden[f"out/{key}/normalised"].reshape(-1, 15, 2)
        np.testing.assert_allclose(found.numpy(), wanted, atol=2e-5, rtol=0, err_msg=one.name)
    # drawing needs pixels back: y up here, y down there
    back = normaliser.denormalise(torch.from_numpy(golden["out/S1/Walking_1/normalised"].reshape(-1, 15, 2)))
    unnormalised = golden["out/S1/Walking_1/unnormalised64"].reshape(-1, 32, 2)[:, ids] * (1, -1)
    np.testing.assert_allclose(back.numpy(), unnormalised, atol=1e-4)


def test_the_preparation_without_recordings(tree: Path) -> None:
    data = module(tree)
    depth = mean_depth(tree)
    ids = [JOINT_IDS[joint] for joint in data.skeleton.joints]
    every = np.concatenate(
        [prepared_by_hand(tree, s, f"{a}{t}", depth)[:, ids] for s in (1, 5) for a in ACTIONS for t in ("", " 1")]
    )
    held_out = prepared_by_hand(tree, 11, "Sitting 1", depth)[:, ids]
    store = data.store
    at = [one.name for one in store.recordings].index("S11/Sitting 1")
    joints = store.joints[store.start[at] : store.start[at] + store.frames[at]]
    found = data.info.need_normaliser().normalise(torch.from_numpy(np.array(joints)))
    wanted = (held_out - every.mean(axis=0)) / every.std(axis=0)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-3)


def test_a_person_stands_upright_in_the_picture(tmp_path: Path) -> None:
    values = positions(FRAMES, 0)
    values[:, JOINT_IDS["head"]] = values[:, JOINT_IDS["hip"]] + (0, 0, 700)
    root = write_tree(tmp_path / "tree", frames=FRAMES, actions=["Eating"], suffixes=[""])
    write_positions(path_of(root, 1, "Eating"), values)
    data = module(root, classes=["Eating"], skeleton="h36m16")
    head = data.skeleton.index("head")
    windows = data.dataset("train")
    joints = windows.__getitems__([i for i in range(len(windows)) if windows.recording[i] == 0]).joints
    assert not joints[:, :, 0].any()
    # 700 mm at some five metres with a focal length of 1145
    assert (joints[:, :, head, 1] > 100).all()
    scaled = data.info.need_normaliser().normalise(joints)
    assert torch.isfinite(scaled).all()
    assert not scaled[:, :, 0].any()


def starts(data: Human36m, split: Any, passes: int = 1) -> list[tuple[int, int]]:
    """(recording, first frame at 50 Hz) of every window, found by where its frames lie in the store."""
    windows, whole = data.dataset(split), data._whole(split)
    found = []
    indices = list(range(passes * len(windows)))
    joints = windows.__getitems__(indices).joints.numpy()
    for index, clip in zip(indices, joints, strict=True):
        i = int(windows.recording[index % len(windows)])
        recording = np.array(whole.joints[whole.start[i] : whole.start[i] + whole.frames[i]])
        (first,) = np.flatnonzero((recording == clip[0]).all(axis=(1, 2)))
        np.testing.assert_array_equal(recording[first :: data.frame_stride][: len(clip)], clip)
        found.append((i, int(first)))
    return found


def test_windows_start_where_the_released_program_lets_them(tree: Path) -> None:
    data = module(tree, classes=["Eating", "Walking"])
    for split in ("train", "val"):
        for i, first in starts(data, split):
            assert SKIP <= first <= data._whole(split).frames[i] - LENGTH * 3 - 1
    # every start comes once in `window_stride` passes (the last ones of a recording more often)
    seen = set(starts(data, "train", passes=5))
    frames = data._whole("train").frames
    assert seen == {(i, s) for i in range(len(frames)) for s in range(SKIP, frames[i] - LENGTH * 3)}


def test_with_the_papers_settings_nothing_starts_before_frame_300(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", frames=480, actions=["Eating"])
    changes = {"skip": 300, "length": 50, "window_stride": 10, "classes": ["Eating"]}
    windows = module(root, **changes)
    found = starts(windows, "train", passes=10)
    first = [start for recording, start in found if windows._whole("train").frames[recording] == 480]
    assert (min(first), max(first)) == (300, 480 - 151)
    assert next(iter(windows.train_dataloader())).joints.shape == (4, 50, 15, 2)
    # 450 frames are one short of a window
    short = write_tree(tmp_path / "short", frames=450, actions=["Eating"], suffixes=[""])
    with pytest.raises(ValueError, match="No training window of 50 frames is left for Eating"):
        module(short, **changes)
    exact = write_tree(tmp_path / "exact", frames=451, actions=["Eating"], suffixes=[""])
    assert starts(module(exact, **changes), "train") == [(0, 300), (1, 300)]


def test_subjects_are_held_out(tree: Path) -> None:
    data = module(tree)
    sides = [{name.split("/")[0] for name in data.clips(split).names} for split in ("train", "val")]
    assert sides == [{"S1", "S5"}, {"S11"}]
    other = module(tree, train_subjects=[11, 1], val_subjects=[5])
    assert {name.split("/")[0] for name in other.clips("val").names} == {"S5"}
    assert other.info.need_normaliser() != data.info.need_normaliser()


def test_sitting_is_not_sitting_down(tree: Path) -> None:
    data = module(tree)
    for split in ("train", "val"):
        clips = data.clips(split)
        assert [name.split("/")[1].split()[0] for name in clips.names] == [ACTIONS[i] for i in clips.label]
    only = module(tree, classes=["Sitting", "Walking"])
    assert sorted(only.clips("val").names) == ["S11/Sitting", "S11/Sitting 1", "S11/Walking", "S11/Walking 1"]


def test_classes_come_evenly_however_many_files_they_have(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", frames=FRAMES, actions=["Eating", "Walking"])
    for subject in (1, 5):
        path_of(root, subject, "Eating 1").unlink()
    path_of(root, 5, "Eating").unlink()
    data = module(root, classes=["Eating", "Walking"], batch_size=500)
    assert data.dataset("train").label.float().mean() > 0.75
    share = next(iter(data.train_dataloader())).label.float().mean()
    assert abs(share - 0.5) < 0.1


def test_absent_trials_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_tree(tmp_path / "tree", frames=FRAMES)
    path_of(root, 11, "Directions 1").unlink()
    for name in ("Sitting", "Sitting 1"):
        path_of(root, 5, name).unlink()
    write_positions(path_of(root, 1, "Posing"), positions(20, 0))
    with caplog.at_level(logging.WARNING, logger="mutoscope"):
        data = module(root)
    assert data.recordings.absent() == ["S5 Sitting (0 of 2)", "S11 Directions (1 of 2)"]
    assert "57 recordings" in caplog.text
    assert "absent trials: S5 Sitting (0 of 2), S11 Directions (1 of 2)." in caplog.text
    assert "after the first 10 were dropped: Posing 1." in caplog.text
    caplog.clear()
    for name in ("Walking", "Walking 1"):
        path_of(root, 11, name).unlink()
    with caplog.at_level(logging.WARNING, logger="mutoscope"):
        module(root)
    assert "No validation window for Walking." in caplog.text
    for subject in (1, 5):
        for name in ("Smoking", "Smoking 1"):
            path_of(root, subject, name).unlink()
    with pytest.raises(ValueError, match=r"no training recording of Smoking below .*dataset\.classes=\[Directions,"):
        module(root)


def test_nothing_is_said_of_a_whole_tree(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="mutoscope"):
        module(tree)
    assert caplog.text == ""


def test_broken_files_are_named(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", frames=FRAMES, actions=["Eating"])
    broken = path_of(root, 5, "Eating 1")
    whole = broken.read_bytes()
    broken.write_bytes(whole[:1000])
    data = module(root, classes=["Eating"])
    (skipped,) = data.store.skipped
    assert (skipped.name, skipped.reason) == ("S5/Eating 1", "cannot be read")
    assert f"{broken}: it cannot be read as HDF5" in (data.store_path / "skipped.txt").read_text()
    assert "S5/Eating 1" not in [one.name for one in data.store.recordings]
    broken.write_bytes(whole)
    module(root, classes=["Eating"])
    write_positions(broken, positions(FRAMES, 0) + np.array([0, 1e5, 0]))
    (skipped,) = module(root, classes=["Eating"]).store.skipped
    assert re.search(r"Eating 1\.h5: .* points lie behind camera 55011271", skipped.detail)
    write_cameras(root / "cameras.h5", {})
    with pytest.raises(ValueError, match="has no cameras of subject 1; it has those of: none"):
        module(root, classes=["Eating"])
    (root / "cameras.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"Missing files: .*cameras\.h5"):
        module(root, classes=["Eating"])
    # positions in space need no camera
    write_positions(broken, positions(FRAMES, 0))
    assert module(root, classes=["Eating"], channels=3).info.units == "m"


def test_wrong_arguments(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"given no folder; .*licence forbids.*dataset\.root="):
        Human36m()
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none; expected a folder with cameras\.h5"):
        Human36m(root=str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="with the positions of subject 7"):
        Human36m(root=str(tree))
    for changes, message in (
        ({"train_subjects": [1, 2]}, r"train_subjects is \[1, 2\], expected one or more of 1, 5, 6, 7, 8, 9, 11"),
        ({"val_subjects": []}, r"val_subjects is \[\]"),
        ({"train_subjects": [1, 11]}, "Subject 11 is in train_subjects and in val_subjects"),
        ({"camera": "55011270"}, "There is no camera '55011270'; Human3.6M was filmed by 54138969, 55011271"),
        ({"skeleton": "ntu25"}, "skeleton is 'ntu25', expected one of h36m15, h36m16"),
        ({"classes": ["Walk"]}, r"There is no recording of 'Walk' below .*; its actions are Directions, Discussion"),
        ({"classes": ["Eating", "Eating"]}, "none of them twice"),
        ({"frame_stride": 0}, "frame_stride is 0"),
        ({"skip": -1}, "skip is -1"),
        ({"val_window_stride": 0}, "must be at least 1"),
        ({"root_rule": "relative"}, "root_rule is 'relative' .* use root_rule=none"),
        ({"align_heading": True}, "cannot be turned"),
        ({"scaling": "z"}, "scaling is 'z', expected one of array, coordinate, joint, joint_array"),
    ):
        with pytest.raises(ValueError, match=message):
            module(tree, ready=False, **changes)


def test_positions_in_space_are_metres_with_y_up(tree: Path) -> None:
    data = module(tree, channels=3, skeleton="h36m16", root_rule="absolute")
    assert (data.info.units, data.info.root, data.info.channels) == ("m", "absolute", 3)
    store = data.store
    raw = read_positions(path_of(tree, 1, "Directions 1"))
    joints = store.joints[: store.frames[0]]
    np.testing.assert_allclose(joints[:, 0, 1], raw[:, 0, 2] / 1000, rtol=1e-6)
    ids = [JOINT_IDS[joint] for joint in data.skeleton.joints]
    bones = [np.linalg.norm(values[:, 1:] - values[:, :1], axis=-1) for values in (joints, raw[:, ids] / 1000)]
    np.testing.assert_allclose(*bones, rtol=1e-4)
    # a rotation, not a reflection
    triple = [
        np.linalg.det(values[0, [1, 5, 9]] - values[0, 0]) for values in (joints.astype(float), raw[:, ids] / 1e3)
    ]
    assert triple[0] == pytest.approx(triple[1], rel=1e-3)
    still = module(tree, channels=3, skeleton="h36m16", align_heading=True)
    scaled = still.info.need_normaliser().normalise(still.dataset("train").__getitems__([0, 1]).joints)
    assert not scaled[:, :, 0].any()
    assert scaled.abs().max() < 20


@pytest.mark.parametrize("scaling", ["array", "coordinate", "joint_array"])
def test_other_scalings_fill_the_range_with_y_down(tree: Path, scaling: str) -> None:
    data = module(tree, scaling=scaling, skeleton="h36m16")
    windows = data.dataset("train")
    joints = windows.__getitems__(list(range(len(windows)))).joints
    scaled = data.info.need_normaliser().normalise(joints)
    assert scaled.min() >= -1 - 1e-5
    assert scaled.max() <= 1 + 1e-5
    assert scaled.max() - scaled.min() > 1.8
    torch.testing.assert_close(data.info.need_normaliser().denormalise(scaled), joints, atol=1e-3, rtol=1e-4)
    down = np.corrcoef(joints[..., 9, 1].flatten(), scaled[..., 9, 1].flatten())[0, 1]
    assert down == pytest.approx(-1)


def test_a_second_start_reads_no_recording(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = module(tree)

    def unexpected(*args: object) -> None:
        raise AssertionError("a file was read again")

    monkeypatch.setattr(human36m, "read_positions", unexpected)
    monkeypatch.setattr(human36m, "read_camera", unexpected)
    second = module(tree)
    assert second.fingerprint == first.fingerprint
    assert second.info == first.info


def test_the_fingerprint_follows_files_and_settings(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", frames=FRAMES, actions=["Eating", "Posing"])
    given = {"classes": ["Eating", "Posing"]}
    base = module(root, ready=False, **given).fingerprint
    changes: list[dict[str, Any]] = [{"length": 9}, {"frame_stride": 2}, {"skip": 11}, {"skeleton": "h36m16"}]
    changes += [{"channels": 3}, {"camera": "54138969"}, {"scaling": "array"}, {"classes": ["Posing", "Eating"]}]
    changes += [{"window_stride": 6}, {"val_window_stride": 5}, {"train_subjects": [1, 11], "val_subjects": [5]}]
    changes += [{"channels": 3, "align_heading": True}, {"channels": 3, "root_rule": "absolute"}]
    prints = [module(root, ready=False, **(given | change)).fingerprint for change in changes]
    assert len({base, *prints}) == len(changes) + 1
    assert module(root, ready=False, **given, batch_size=7).fingerprint == base
    os.utime(path_of(root, 1, "Eating"), ns=(0, 0))
    assert module(root, ready=False, **given).fingerprint != base


def test_hip_and_distance_are_taken_out() -> None:
    # a camera 6 m away in front, without distortion; the same pose near and far, left and right of its axis
    ahead = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    place = np.array([0.0, -6e3, 1e3])
    camera = Camera("x", ahead, place, np.full(2, 1e3), np.zeros(2), np.zeros(3), np.zeros(2))
    # flat, so that all joints of a frame have one depth
    pose = positions(1, 0) * (1, 0, 1)
    moved = pose + np.array([[0, 0, 0], [0, 3000, 0], [500, -2000, 300]])[:, None]
    found = hip_relative(*camera.project(moved), 6000.0)
    wanted = (pose - pose[:, :1])[..., [0, 2]] * (1000 / 6000, -1000 / 6000)
    np.testing.assert_allclose(found, np.repeat(wanted, 3, axis=0), atol=1e-9)


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "m"), (0.1, "cm"), (1e-3 / 0.3048, "ft")])
@pytest.mark.parametrize("channels", [2, 3])
def test_another_unit_is_seen_and_can_be_said(tmp_path: Path, factor: float, unit: str, channels: int) -> None:
    root = write_tree(tmp_path / "tree", frames=FRAMES, actions=["Eating"])
    settings = {"classes": ["Eating"], "channels": channels}
    right = module(root, **settings)
    for path in root.glob("S*/MyPoses/3D_positions/*.h5"):
        with h5py.File(path, "r+") as file:
            file["3D_positions"][...] *= factor
    if factor < 0.05:
        with pytest.raises(
            ValueError,
            match=r"None of the .* unlikely people.*too small.*dataset\.unit=",
        ):
            module(root, **settings)
    found = module(root, unit=unit, **settings)
    np.testing.assert_allclose(found.store.joints, right.store.joints, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="unit is 'miles', expected one of mm, cm"):
        module(root, unit="miles", **settings)
