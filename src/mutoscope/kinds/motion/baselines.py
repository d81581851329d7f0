"""What an evaluation of motion holds models against: clips for reference, floors and foils, all of one count."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mutoscope.data.sampling import clips_of, even_order
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.foils import frozen_first_frames, frozen_random_poses, matching, shuffled_labels
from mutoscope.runtime.console import say
from mutoscope.structures import MotionBatch

#: real clips that everything is held against
REFERENCE_CLIPS = 5000

Against = Literal["train", "held_out"]
Role = Literal["model", "foil", "floor"]


@dataclass(frozen=True)
class Candidate:
    """What stands in the generator's place in one row.

    Args:
        name: of the row.
        role: a model, a foil that shows what a metric is worth, or a floor: real clips.
        what: it is, in a sentence.
        clips: to be measured.
    """

    name: str
    role: Role
    what: str
    clips: MotionBatch


@dataclass(frozen=True)
class RealClips:
    """Real clips, apart by what they are for.

    Args:
        all_training: the whole training split.
        reference: what rows are held against; no clip of it stands in a row.
        held_out: of the split that is evaluated; its classes are asked of models and repeated by every row.
        training: training clips of the same classes, or ``None`` where there are too few.
        against: where the reference is from.
    """

    all_training: MotionBatch
    reference: MotionBatch
    held_out: MotionBatch
    training: MotionBatch | None
    against: Against


def real_clips(datamodule: Any, split: str, limit: int, against: Against, seed: int) -> RealClips:
    """Draw the real clips of an evaluation, evenly over classes.

    Args:
        datamodule: set up.
        split: to hold clips out from.
        limit: clips per row at most.
        against: rows are held against training clips, or against held-out ones (then half of the split at most
            stands in a row).
        seed: of the draw.

    Raises:
        TooFewSamplesError: if no class has the two held-out clips that ``against="held_out"`` takes.
    """
    train: MotionBatch = clips_of(datamodule, "train")
    if against == "held_out":
        every: MotionBatch = clips_of(datamodule, split)
        half = torch.bincount(every.label) // 2
        row = matching(every.label, torch.arange(len(half)).repeat_interleave(half), seed)
        if not len(row):
            raise TooFewSamplesError(
                f"reference=held_out divides the {len(every)} clips of '{split}' between a row and its reference, but "
                "no class has two; use reference=train."
            )
        row = row[even_order(every.label[row], seed)[:limit]]
        held_out, reference = select(every, row), _others(every, row, seed)
        return RealClips(train, reference, held_out, _training(train, held_out.label, seed), against)
    held_out = clips_of(datamodule, split, limit=limit, seed=seed)
    classes = datamodule.info.num_classes
    needed, there = (torch.bincount(label, minlength=classes) for label in (held_out.label, train.label))
    if (short := 2 * needed > there).any():
        # the reference would have fewer clips of a class than the rows
        first = int(short.nonzero()[0])
        say(
            f"The row of training clips is left out: class '{datamodule.info.classes[first]}' has {int(there[first])}, "
            f"and {2 * int(needed[first])} would be needed to hold {int(needed[first])} against as many others."
        )
        return RealClips(train, _others(train, torch.tensor([], dtype=torch.long), seed), held_out, None, against)
    row = matching(train.label, held_out.label, seed)
    return RealClips(train, _others(train, row, seed), held_out, select(train, row), against)


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


def _others(clips: MotionBatch, taken: Tensor, seed: int) -> MotionBatch:
    """Up to :data:`REFERENCE_CLIPS` of the clips that are not ``taken``, evenly over classes."""
    free = torch.ones(len(clips), dtype=torch.bool)
    free[taken] = False
    rest = free.nonzero()[:, 0]
    return select(clips, rest[even_order(clips.label[rest], seed)[:REFERENCE_CLIPS]])


def _training(train: MotionBatch, label: Tensor, seed: int) -> MotionBatch | None:
    try:
        return select(train, matching(train.label, label, seed))
    except TooFewSamplesError as error:
        say(f"The row of training clips is left out: {error}")
        return None
