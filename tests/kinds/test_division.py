"""Two sets of real clips that are compared share no recording, or no moment of one."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mutoscope.data.motion.windows import MotionClips, MotionWindows
from mutoscope.kinds.motion import baselines
from mutoscope.kinds.motion.baselines import real_clips
from mutoscope.kinds.motion.division import Spans, enough, in_halves, spans_of
from mutoscope.metrics import TooFewSamplesError
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import NTU25

LENGTH = 10


def recordings(split: str, frames: Sequence[int], label: Sequence[int], takes: list[str] | None = None) -> MotionClips:
    """Everybody's first coordinate tells recording and frame."""
    start = np.cumsum(frames) - np.array(frames)
    joints = np.zeros((sum(frames), 25, 3), dtype=np.float32)
    for i, (first, count) in enumerate(zip(start, frames, strict=True)):
        joints[first : first + count, :, 0] = (i * 1000 + np.arange(count))[:, None]
    names = [f"{split}{i}" for i in range(len(frames))]
    return MotionClips(joints, start, np.array(frames), np.array(label), names, takes)


def data(train: MotionClips, val: MotionClips, stride: int = 2) -> Any:
    def windows(clips: MotionClips) -> MotionWindows:
        return MotionWindows(clips, NTU25, LENGTH, stride, "drop", "absolute", False)

    splits = {"train": windows(train), "val": windows(val)}
    classes = tuple(f"class{k}" for k in range(int(max(train.label.max(), val.label.max())) + 1))
    info = SimpleNamespace(classes=classes, num_classes=len(classes))
    return SimpleNamespace(dataset=splits.__getitem__, info=info)


def moments(clips: Any) -> tuple[Tensor, Tensor]:
    """Recording and first frame of every clip, read from its joints."""
    first = clips.joints[:, 0, 0, 0].long()
    return first // 1000, first % 1000


def apart(row: Any, reference: Any) -> tuple[set[int], float]:
    """Recordings on both sides, and the frames between the end of the one and the beginning of the other."""
    (take, first), (others, theirs) = moments(row), moments(reference)
    both = set(take.tolist()) & set(others.tolist())
    gaps = [int(theirs[others == one].min() - (first[take == one].max() + LENGTH)) for one in both]
    return both, min(gaps, default=torch.inf)


@pytest.mark.parametrize("against", ["held_out", "train"])
@pytest.mark.parametrize(
    ("frames", "label"),
    [
        ([60, 60], [0, 0]),
        ([200, 14, 14], [0, 0, 0]),
        ([60] * 3 + [90] * 4, [0, 0, 0, 1, 1, 1, 1]),
        ([25] * 40, [0, 1] * 20),
        ([10] * 40, [0, 1] * 20),
    ],
)
def test_recordings_are_on_one_side(frames: list[int], label: list[int], against: Any) -> None:
    longer = [4 * f for f in frames]
    split = data(recordings("train", longer * 2, label * 2), recordings("val", frames, label))
    for seed in range(4):
        real = real_clips(split, "val", 30, against, seed)
        row = real.held_out if against == "held_out" else real.training
        assert row is not None
        assert set(row.label.tolist()) == set(real.reference.label.tolist()) == set(label)
        assert apart(row, real.reference) == (set(), torch.inf)
        assert real.apart.startswith("by recording: ")
        assert torch.equal(torch.bincount(real.training.label), torch.bincount(real.held_out.label))


def test_the_only_recording_of_a_class_is_divided_in_time() -> None:
    clips = recordings("val", [100, 60, 60], [0, 1, 1])
    split = data(recordings("train", [600, 60], [0, 1]), clips)
    for seed in range(3):
        real = real_clips(split, "val", 99, "held_out", seed)
        both, gap = apart(real.held_out, real.reference)
        assert both == {0}
        assert gap >= LENGTH
        count, others = (torch.bincount(side.label) for side in (real.held_out, real.reference))
        # 46 windows: ten that begin within a window behind the border, and as many before as after
        assert abs(int(count[0] - others[0])) <= 1
        assert int(count[0] + others[0]) in (36, 37)
        assert "divided in time, 10 frames apart, where a class has one recording only: val0" in real.apart


def test_a_training_recording_may_be_the_only_one_of_its_class() -> None:
    split = data(recordings("train", [400, 60, 60, 60], [0, 1, 1, 1]), recordings("val", [40, 40], [0, 1]))
    real = real_clips(split, "val", 99, "train", 0)
    assert real.training is not None
    both, gap = apart(real.training, real.reference)
    assert both == {0}
    assert gap >= LENGTH
    short = data(recordings("train", [50, 60, 60, 60], [0, 1, 1, 1]), recordings("val", [40, 40], [0, 1]))
    real = real_clips(short, "val", 99, "train", 0)
    assert real.training is None
    assert len(real.reference) == len(real.all_training)


def test_a_class_that_cannot_be_divided_is_in_neither_set(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(baselines, "say", said.append)
    split = data(recordings("train", [90] * 4, [0, 1, 2, 0]), recordings("val", [60, 60, 15, 60], [0, 0, 1, 2]))
    real = real_clips(split, "val", 99, "held_out", 0)
    assert set(real.held_out.label.tolist()) == set(real.reference.label.tolist()) == {0, 2}
    assert "class1, of which there is one recording, too short to be divided" in said[0]
    only = data(recordings("train", [90], [0]), recordings("val", [25], [0]))
    with pytest.raises(TooFewSamplesError, match="no class has two recordings"):
        real_clips(only, "val", 99, "held_out", 0)


def test_cuts_of_one_take_are_one_recording() -> None:
    takes = ["a", "a", "b", "b"]
    split = data(recordings("train", [90] * 2, [0, 1]), recordings("val", [60] * 4, [0, 1, 0, 1], takes))
    assert spans_of(split.dataset("val")).names == ("a", "b")
    real = real_clips(split, "val", 99, "held_out", 0)
    ours, theirs = (set((moments(side)[0] // 2).tolist()) for side in (real.held_out, real.reference))
    assert ours.isdisjoint(theirs)
    # frames go on through the cuts of a take
    take, first, end = split.dataset("val").spans()
    assert first[take == 0].max() == 60 + 50
    assert (end - first == LENGTH).all()


def test_splits_that_hold_nothing_out_are_refused() -> None:
    clips = recordings("a", [60, 60], [0, 0])
    split = data(clips, clips)
    with pytest.raises(ConfigError, match="The splits 'train' and 'val' share 2 recordings, such as 'a0'"):
        real_clips(split, "val", 9, "train", 0)
    with pytest.raises(ConfigError, match="split is 'train', but models learned these clips"):
        real_clips(split, "train", 9, "train", 0)


@pytest.mark.parametrize("seed", range(30))
def test_however_classes_and_recordings_mix_nothing_is_shared(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    take = torch.randint(1 + seed % 9, (60,), generator=generator)
    first = torch.randint(80, (60,), generator=generator)
    # most recordings hold one class, some several
    label = torch.where(
        torch.rand(60, generator=generator) < 0.8, take % 3, torch.randint(3, (60,), generator=generator)
    )
    spans = Spans(take, first, first + 7, tuple(map(str, range(9))))
    needed = torch.tensor([2, 1, 0])
    for division in (in_halves(spans, label, seed), enough(spans, label, needed, 0.2, seed)):
        row = division.row.nonzero()[:, 0]
        reference = division.reference(spans, row).nonzero()[:, 0]
        same = take[row][:, None] == take[reference]
        later = first[reference][None] - spans.end[row][:, None]
        assert (later[same] >= 7).all()
        assert not set(row.tolist()) & set(reference.tolist())
    # with more than one recording of a class, and no other in the way, both sides have it
    division = in_halves(spans, take % 2, seed)
    for k in range(2):
        if len(take[take % 2 == k].unique()) > 1:
            assert set(division.row[take % 2 == k].tolist()) == {False, True}
