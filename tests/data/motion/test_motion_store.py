"""Prepared recordings: whole or not at all."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from patience import patience

from mutoscope.data.motion.store import MotionStore, Recording, open_store, prepare_store, split_by_group
from mutoscope.runtime.cache import fingerprint
from mutoscope.structures import H36M16

Read = Callable[[int], np.ndarray]
FRAMES = [5, 3, 7, 1]
RECORDINGS = [Recording("a", 0, "g"), Recording("b", 1, "g"), Recording("c", 1, "h"), Recording("d", 0, "i")]


def frames_of(i: int) -> np.ndarray:
    return np.random.default_rng(i).normal(size=(FRAMES[i], 16, 3))


def prepare(path: Path, read: Read = frames_of, **changes: Any) -> MotionStore:
    values: dict[str, Any] = {
        "skeleton": H36M16,
        "fps": 30.0,
        "classes": ("walk", "run"),
        "recordings": RECORDINGS,
        "fingerprint": "f00d",
    }
    return prepare_store(path, read=read, **(values | changes))


def no_reading(i: int) -> np.ndarray:
    raise AssertionError("the store was there, but was read again")


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    prepare(tmp_path / "store")
    store = open_store(tmp_path / "store", "f00d")
    assert isinstance(store.joints, np.memmap)
    assert store.recordings == tuple(RECORDINGS)
    assert (store.classes, store.fps, store.skeleton) == (("walk", "run"), 30.0, H36M16)
    for i, start in enumerate(store.start):
        found = store.joints[start : start + store.frames[i]]
        np.testing.assert_array_equal(found, frames_of(i).astype(np.float32))
    clips = store.clips([2, 0])
    assert (clips.names, clips.label.tolist(), clips.frames.tolist()) == (["c", "a"], [1, 0], [7, 5])
    assert clips.start.tolist() == [8, 0]


def test_a_second_start_reads_nothing(tmp_path: Path) -> None:
    first = prepare(tmp_path / "store")
    second = prepare(tmp_path / "store", read=no_reading)
    np.testing.assert_array_equal(first.joints, second.joints)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_interrupted_preparation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    read: list[int] = []

    def interrupted(i: int) -> np.ndarray:
        if i == 2:
            raise KeyboardInterrupt
        read.append(i)
        return frames_of(i)

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "store", read=interrupted)
    assert not (tmp_path / "store").exists()
    with pytest.raises(FileNotFoundError, match=r"no prepared recordings at .* call prepare_data"):
        open_store(tmp_path / "store")

    def resumed(i: int) -> np.ndarray:
        read.append(i)
        return frames_of(i)

    found = prepare(tmp_path / "store", read=resumed)
    assert read == [0, 1, 2, 3]
    np.testing.assert_array_equal(found.joints, prepare(tmp_path / "whole").joints)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "whole"]


@pytest.mark.parametrize("step", ["save", "open_memmap", "rename"])
def test_a_failure_while_writing_leaves_no_store(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        if step == "rename":
            patch.setattr(Path, "rename", full)
        elif step == "save":
            patch.setattr(np, "save", full)
        else:
            patch.setattr("mutoscope.data.motion.store.open_memmap", full)
        with pytest.raises(OSError, match="no space left"):
            prepare(tmp_path / "store")
    assert not (tmp_path / "store").exists()
    assert len(prepare(tmp_path / "store").joints) == sum(FRAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_preparers_at_the_same_time_do_not_collide(tmp_path: Path) -> None:
    together = Barrier(4)

    def slow(i: int) -> np.ndarray:
        if i == 0:
            together.wait(timeout=patience(30))
        return frames_of(i)

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: prepare(tmp_path / "store", read=slow), range(4)))
    for store in stores:
        np.testing.assert_array_equal(store.joints[:5], frames_of(0).astype(np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_parts_may_vanish_when_another_process_was_first(tmp_path: Path) -> None:
    def overtaken(i: int) -> np.ndarray:
        if i == 2:
            prepare(tmp_path / "store")
        return frames_of(i)

    assert len(prepare(tmp_path / "store", read=overtaken).joints) == sum(FRAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def edited(index: Path, **changes: Any) -> None:
    index.write_text(json.dumps(json.loads(index.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "index.json").unlink(), r"cannot be used: .*index\.json"),
        (lambda p: (p / "joints.npy").unlink(), r"cannot be used: .*joints\.npy"),
        (lambda p: (p / "index.json").write_text("{"), "cannot be used: .*delete the folder"),
        (lambda p: (p / "index.json").write_text("{}"), "damaged: no entry 'format'; delete the folder"),
        (lambda p: os.truncate(p / "joints.npy", 500), "cannot be used: .*delete the folder"),
        (lambda p: edited(p / "index.json", format=0), "its format is 0, expected 1"),
        (lambda p: edited(p / "index.json", classes=["walk"]), "a label lies outside of its 1 classes"),
        (lambda p: edited(p / "index.json", recordings=[]), r"holds float32 \(16, 16, 3\), expected float32 \(0,"),
        (lambda p: np.save(p / "joints.npy", np.zeros((16, 16, 3))), "holds float64"),
    ],
)
def test_a_damaged_store_is_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    prepare(tmp_path / "store")
    damage(tmp_path / "store")
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path / "store", read=no_reading)


def test_a_store_of_other_sources_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path / "store")
    with pytest.raises(ValueError, match="its fingerprint is f00d, expected beef; delete the folder"):
        prepare(tmp_path / "store", fingerprint="beef")


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((0, 16, 3)), r"Recording 'a' has shape \(0, 16, 3\), expected \(frames, 16, 3\)"),
        (np.zeros((4, 25, 3)), r"Recording 'a' has shape \(4, 25, 3\), expected \(frames, 16, 3\)"),
        (np.full((4, 16, 3), np.nan), "Recording 'a' holds values that are no finite numbers"),
    ],
)
def test_bad_recordings_are_refused(tmp_path: Path, joints: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path / "store", read=lambda i: joints)
    assert not (tmp_path / "store").exists()


def test_names_must_differ_and_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="have the same name"):
        prepare(tmp_path / "store", recordings=[RECORDINGS[0]] * 2)
    with pytest.raises(ValueError, match="There are no recordings"):
        prepare(tmp_path / "store", recordings=[])


def test_a_missing_source_is_no_rival_process(tmp_path: Path) -> None:
    def missing(i: int) -> np.ndarray:
        raise FileNotFoundError("There is no file x.amc")

    with pytest.raises(FileNotFoundError, match=r"There is no file x\.amc"):
        prepare(tmp_path / "store", read=missing)


def test_a_fingerprint_sees_settings_and_files(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("one")
    os.utime(file, ns=(0, 10**9))
    first = fingerprint({"fps": 30.0}, [file])
    assert fingerprint({"fps": 30.0}, [file, file]) == first
    assert fingerprint({"fps": 25.0}, [file]) != first
    os.utime(file, ns=(0, 2 * 10**9))
    assert fingerprint({"fps": 30.0}, [file]) != first
    file.write_text("three")
    os.utime(file, ns=(0, 10**9))
    assert fingerprint({"fps": 30.0}, [file]) != first
    absent = [tmp_path / f"no{i}" for i in range(5)]
    with pytest.raises(FileNotFoundError, match=r"Missing files: .*no0, .*no1, .*no2 and 2 more"):
        fingerprint({}, [file, *absent])


def cuts(*takes_per_class: int) -> list[Recording]:
    """Three cuts of every take."""
    return [
        Recording(f"{label}/{take}_{cut}", label, f"{label}/{take}")
        for label, takes in enumerate(takes_per_class)
        for take in range(takes)
        for cut in "abc"
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_takes_whole_and_has_every_class(seed: int) -> None:
    recordings = cuts(1, 2, 5, 20)
    train, val = split_by_group(recordings, 4, 0.2, seed)
    assert sorted(train + val) == list(range(len(recordings)))
    assert not {recordings[i].group for i in train} & {recordings[i].group for i in val}
    assert [len({recordings[i].group for i in val if recordings[i].label == k}) for k in range(4)] == [0, 1, 1, 4]


def test_a_split_depends_on_the_seed_and_the_names_alone() -> None:
    recordings = cuts(6, 9, 20)
    _, val = split_by_group(recordings, 3, 0.3, 7)
    backwards = recordings[::-1]
    _, again = split_by_group(backwards, 3, 0.3, 7)
    assert {recordings[i].name for i in val} == {backwards[i].name for i in again}
    assert val != split_by_group(recordings, 3, 0.3, 8)[1]
    # the other classes have no say
    assert {i for i in val if recordings[i].label == 0} == set(split_by_group(cuts(6), 1, 0.3, 7)[1])


def test_a_take_with_two_labels_stays_whole() -> None:
    recordings = [Recording(f"{take}_{label}", label, f"{take}") for take in range(10) for label in range(2)]
    train, val = split_by_group(recordings, 2, 0.3, 0)
    assert not {recordings[i].group for i in train} & {recordings[i].group for i in val}
    assert len(val) == 6


def test_extreme_fractions() -> None:
    assert split_by_group(cuts(3, 3), 2, 0.0, 0)[1] == []
    train, _ = split_by_group(cuts(3, 3), 2, 0.99, 0)
    assert len(train) == 6
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="val_fraction"):
            split_by_group(cuts(2), 1, fraction, 0)
