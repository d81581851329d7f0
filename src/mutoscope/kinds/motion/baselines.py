"""What an evaluation of motion holds models against: clips for reference, floors and foils, all of one count."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mutoscope.data.sampling import clips_of, even_order
from mutoscope.kinds.motion.division import Division, Spans, enough, in_halves, spans_of
from mutoscope.kinds.tables import Role
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.foils import frozen_first_frames, frozen_random_poses, matching, shuffled_labels
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo, MotionBatch

#: real clips that everything is held against
REFERENCE_CLIPS = 5000
#: of the recordings of a class, this share at least stands for it in the row of training clips
_ROW_SHARE = 0.2

Against = Literal["train", "held_out"]


@dataclass(frozen=True)
class Candidate:
    """What stands in the generator's place in one row.

    Args:
        name: of the row.
        role: a model, a foil that shows what a metric is worth, or a floor: real clips.
        what: it is, in a sentence.
        clips: to be measured.
        seed: of what was generated.
    """

    name: str
    role: Role
    what: str
    clips: MotionBatch
    seed: int | None = None


@dataclass(frozen=True)
class RealClips:
    """Real clips, apart by what they are for.

    Args:
        all_training: the whole training split.
        reference: what rows are held against; no clip of it stands in a row.
        held_out: of the split that is evaluated; its classes are asked of models and repeated by every row.
        training: training clips of the same classes, or ``None`` where there are too few.
        against: where the reference is from.
        apart: how real clips in rows were kept apart from the reference, in a sentence.
    """

    all_training: MotionBatch
    reference: MotionBatch
    held_out: MotionBatch
    training: MotionBatch | None
    against: Against
    apart: str


def real_clips(datamodule: Any, split: str, limit: int, against: Against, seed: int) -> RealClips:
    """Draw the real clips of an evaluation, evenly over classes.

    No clip of a row shares a moment with a clip it is held against; see :mod:`mutoscope.kinds.motion.division`.

    Args:
        datamodule: set up.
        split: to hold clips out from.
        limit: clips per row at most.
        against: rows are held against training clips, or against held-out ones (then half of the split at most
            stands in a row).
        seed: of the draw.

    Raises:
        ConfigError: for the training split, from which nothing is held out, or a split that shares recordings with it.
        TooFewSamplesError: if no class can be divided as ``against="held_out"`` takes.
    """
    if split == "train":
        raise ConfigError("split is 'train', but models learned these clips: nothing of it is held out; use split=val.")
    train_data, data = datamodule.dataset("train"), datamodule.dataset(split)
    train: MotionBatch = clips_of(datamodule, "train")
    spans = spans_of(data)
    if shared := sorted(set(spans.names) & set(spans_of(train_data).names)):
        raise ConfigError(
            f"The splits 'train' and '{split}' share {len(shared)} recordings, such as '{shared[0]}': nothing is held "
            "out. Divide the data by recording."
        )
    if against == "train":
        held_out = clips_of(datamodule, split, limit=limit, seed=seed)
        training, others, apart = _training_row(train, spans_of(train_data), held_out.label, datamodule.info, seed)
        return RealClips(train, others, held_out, training, against, apart)
    every: MotionBatch = clips_of(datamodule, split)
    row, reference, apart = _held_out_row(every, spans, limit, datamodule.info, seed)
    if not len(row):
        raise TooFewSamplesError(
            f"reference=held_out divides the {len(every)} clips of '{split}' between a row and its reference, but no "
            "class has two recordings, or one that is long enough to be divided; use reference=train."
        )
    held_out = select(every, row)
    return RealClips(train, select(every, reference), held_out, _training(train, held_out.label, seed), against, apart)


def _held_out_row(
    clips: MotionBatch, spans: Spans, limit: int, info: DatasetInfo, seed: int
) -> tuple[Tensor, Tensor, str]:
    """Indices of a row and of its reference, and how they are kept apart; classes that lack a side are in neither."""
    division = in_halves(spans, clips.label, seed)
    candidates = division.row
    while True:
        there = candidates.nonzero()[:, 0]
        row = there[even_order(clips.label[there], seed)[:limit]]
        free = division.reference(spans, row)
        ours, theirs = (torch.bincount(clips.label[of], minlength=info.num_classes) for of in (candidates, free))
        lacking = (ours > 0) & (theirs == 0)
        if not lacking.any():
            break
        candidates = candidates & ~lacking[clips.label]
    wanted = torch.bincount(clips.label[row], minlength=info.num_classes) > 0
    rest = (free & wanted[clips.label]).nonzero()[:, 0]
    absent = (torch.bincount(clips.label, minlength=info.num_classes) > 0) & ~wanted
    if len(row) and (names := [info.classes[k] for k in absent.nonzero()[:, 0].tolist()]):
        say(
            f"Left out of the rows and of what they are held against: {', '.join(names)}, of which there is one "
            "recording, too short to be divided, or too few clips."
        )
    reference = rest[even_order(clips.label[rest], seed)[:REFERENCE_CLIPS]]
    return row, reference, _in_words(spans, division, row, reference)


def _training_row(
    train: MotionBatch, spans: Spans, wanted: Tensor, info: DatasetInfo, seed: int
) -> tuple[MotionBatch | None, MotionBatch, str]:
    """Training clips with the ``wanted`` labels, the training clips all rows are held against, and how they differ."""
    needed, there = (torch.bincount(label, minlength=info.num_classes) for label in (wanted, train.label))
    division = enough(spans, train.label, needed, _ROW_SHARE, seed)
    candidates = division.row.nonzero()[:, 0]
    nothing = torch.tensor([], dtype=torch.long)
    row = nothing
    # the reference must have as many clips of a class as the rows
    short = 2 * needed > there
    if not short.any():
        short = torch.bincount(train.label[candidates], minlength=info.num_classes) < needed
        if not short.any():
            row = candidates[matching(train.label[candidates], wanted, seed)]
            free = division.reference(spans, row)
            short = torch.bincount(train.label[free], minlength=info.num_classes) < needed
    if short.any():
        first = int(short.nonzero()[0])
        say(
            f"The row of training clips is left out: class '{info.classes[first]}' has {int(there[first])}, and "
            f"{2 * int(needed[first])} would be needed, in recordings apart, to hold {int(needed[first])} against as "
            "many others."
        )
        row = nothing
    rest = division.reference(spans, row).nonzero()[:, 0]
    reference = rest[even_order(train.label[rest], seed)[:REFERENCE_CLIPS]]
    apart = _in_words(spans, division, row, reference) if len(row) else "no training clip stands in a row"
    return select(train, row) if len(row) else None, select(train, reference), apart


def _in_words(spans: Spans, division: Division, row: Tensor, reference: Tensor) -> str:
    """How the clips at ``row`` are kept apart from those at ``reference``."""
    if not spans.known:
        return "clip by clip: the data do not say which recordings they are from"
    ours, theirs = (set(spans.take[index].tolist()) for index in (row, reference))
    text = f"by recording: {len(ours - theirs)} in the row, {len(theirs - ours)} in the reference"
    if both := sorted(ours & theirs):
        names = ", ".join(spans.names[take] for take in both[:3]) + (", ..." if len(both) > 3 else "")
        text += f"; divided in time, {division.gap} frames apart, where a class has one recording only: {names}"
    return text


def foils(real: RealClips, seed: int) -> list[Candidate]:
    """The rows below the models: foils first, floors last."""
    held_out, train = real.held_out, real.all_training
    always = torch.ones_like(held_out.mask)

    def poses() -> MotionBatch:
        joints = frozen_random_poses(train.joints, train.label, train.mask, held_out.label, seed)
        return MotionBatch(joints, held_out.label, always)

    made: list[Candidate] = []
    foil: tuple[tuple[str, str, Callable[[], MotionBatch]], ...] = (
        (
            "frozen random pose",
            "A pose that never moves, drawn for every clip from a Gaussian with the mean and covariance of all "
            "training frames of its class: what a metric gives for poses without motion.",
            poses,
        ),
        (
            "frozen first frame",
            "The first frame of every held-out real clip, standing still: real poses without motion.",
            lambda: MotionBatch(frozen_first_frames(held_out.joints), held_out.label, always),
        ),
        (
            "shuffled labels",
            "The held-out real clips with their classes in random order: real motion that is not what was asked for.",
            lambda: MotionBatch(held_out.joints, shuffled_labels(held_out.label, seed), held_out.mask),
        ),
    )
    for name, what, make in foil:
        try:
            made.append(Candidate(name, "foil", what, make()))
        except TooFewSamplesError as error:
            say(f"The row '{name}' is left out: {error}")
    apart = ", none of them among the clips that rows are held against"
    if real.training is not None:
        what = f"Real clips of the training split{apart if real.against == 'train' else ''}: what a generator that "
        what += "had learned the training recordings by heart would score."
        made.append(Candidate("real, training (floor)", "floor", what, real.training))
    what = f"Real clips held out from training{apart if real.against == 'held_out' else ''}: what a perfect generator "
    what += "would score."
    return [*made, Candidate("real, held out (floor)", "floor", what, held_out)]


def select(clips: MotionBatch, index: Tensor) -> MotionBatch:
    """The clips at ``index: [m]``."""
    return MotionBatch(clips.joints[index], clips.label[index], clips.mask[index])


def _training(train: MotionBatch, label: Tensor, seed: int) -> MotionBatch | None:
    try:
        return select(train, matching(train.label, label, seed))
    except TooFewSamplesError as error:
        say(f"The row of training clips is left out: {error}")
        return None
