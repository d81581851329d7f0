"""``toy_motion``: procedurally animated people, the default data set; nothing to download, ready in a second or two."""

import difflib
import hashlib
import json
from typing import Unpack

import numpy as np

from mutoscope.data.datamodule import Split
from mutoscope.data.motion.toy_people import ACTIONS, WORLD_VERSION, joint_columns, perform
from mutoscope.data.motion.windows import MotionClips, MotionDataModule, MotionSettings
from mutoscope.data.registry import register
from mutoscope.structures import skeleton as named_skeleton

#: shortest clip in seconds in which the actions can still be told apart
_SHORTEST = 0.5


@register("toy_motion")
class ToyMotion(MotionDataModule):
    """Random people performing twelve actions, drawn by a program.

    Training and validation people come from different random streams. A clip depends on people_seed, split, class
    and its number within the class, not on how many clips or which other classes there are.

    Args:
        clips_per_class, val_clips_per_class: clips of every class in the training and the validation split.
        skeleton: ``"ntu25"`` or ``"h36m16"``.
        classes: actions to include, in label order; all twelve if ``None``.
        fps: frames per second.
        heading: people face a random direction up to so many degrees left or right of +z.
        variety: spread of bodies and styles, 0 to 2; 1 is natural, 0 makes everybody the same person (who still
            differs in phase, onset, heading and handedness).
        people_seed: of the people; ``seed`` is that of the order of batches.
        length, root_rule, align_heading, channels, scaling, balance, batch_size, num_workers, seed: see
            :class:`~mutoscope.data.motion.windows.MotionDataModule`.

    Raises:
        ValueError: for an unknown action or skeleton, a clip shorter than half a second, or a number out of range.
    """

    def __init__(
        self,
        *,
        clips_per_class: int = 200,
        val_clips_per_class: int = 40,
        skeleton: str = "ntu25",
        classes: list[str] | None = None,
        fps: float = 30.0,
        heading: float = 180.0,
        variety: float = 1.0,
        people_seed: int = 0,
        **motion: Unpack[MotionSettings],
    ) -> None:
        self._columns = joint_columns(named_skeleton(skeleton))
        self._classes = _checked_classes(classes)
        for name, count in (("clips_per_class", clips_per_class), ("val_clips_per_class", val_clips_per_class)):
            if count < 1:
                raise ValueError(f"{name} is {count}, expected at least 1.")
        if not 0.0 < fps < float("inf"):
            raise ValueError(f"fps is {fps}, expected a positive number of frames per second.")
        if not 0.0 <= heading <= 180.0:
            raise ValueError(f"heading is {heading}, expected a half-range between 0 and 180 degrees.")
        if not 0.0 <= variety <= 2.0:
            raise ValueError(f"variety is {variety}, expected 0 (one person) to 2 (twice the natural spread).")
        if people_seed < 0:
            raise ValueError(f"people_seed is {people_seed}, expected 0 or more.")
        super().__init__(skeleton=named_skeleton(skeleton), fps=fps, **motion)
        if (seconds := self.length / fps) < _SHORTEST:
            raise ValueError(
                f"{self.length} frames at {fps:g} frames per second last {seconds:.2f} s, but an action needs at least "
                f"{_SHORTEST} s; use length {int(np.ceil(_SHORTEST * fps))} or more, or a lower fps."
            )
        self.clips_per_class: dict[Split, int] = {"train": clips_per_class, "val": val_clips_per_class}
        self.heading, self.variety, self.people_seed = heading, variety, people_seed

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def fingerprint(self) -> str:
        """Hash of all settings that shape the data and of the world's version."""
        settings = {
            "world": WORLD_VERSION,
            "clips": self.clips_per_class,
            "skeleton": self.skeleton.name,
            "classes": self._classes,
            "length": self.length,
            "fps": float(self.fps),
            "heading": float(self.heading),
            "variety": float(self.variety),
            "root_rule": self.root_rule,
            "align_heading": self.align_heading,
            "channels": self.channels,
            "scaling": self.scaling,
            "people_seed": self.people_seed,
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    def clips(self, split: Split) -> MotionClips:
        """All clips of a split, ``length`` frames each, class after class."""
        count = self.clips_per_class[split]
        stream = ("train", "val").index(split)
        actions = list(ACTIONS)
        joints = [
            perform(
                name,
                count,
                self.length,
                self.fps,
                (self.people_seed, stream, actions.index(name)),
                heading=self.heading,
                variety=self.variety,
            )[:, :, self._columns]
            for name in self._classes
        ]
        n = count * len(self._classes)
        return MotionClips(
            joints=np.concatenate(joints).reshape(n * self.length, len(self._columns), 3),
            start=np.arange(n, dtype=np.int64) * self.length,
            frames=np.full(n, self.length, dtype=np.int64),
            label=np.repeat(np.arange(len(self._classes), dtype=np.int64), count),
            names=[f"{split}/{name}/{i:04d}" for name in self._classes for i in range(count)],
        )


def _checked_classes(classes: list[str] | None) -> tuple[str, ...]:
    if classes is None:
        return tuple(ACTIONS)
    if not classes:
        raise ValueError(f"classes is empty; name at least one of {', '.join(ACTIONS)}, or leave it out for all.")
    for name in classes:
        if name not in ACTIONS:
            closest = difflib.get_close_matches(str(name), ACTIONS, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"The toy world has no action '{name}'; its actions are {', '.join(ACTIONS)}. Did you mean '{closest}'?"
            )
    if len(set(classes)) != len(classes):
        raise ValueError(f"classes names an action twice: {', '.join(classes)}; name each one once.")
    return tuple(classes)
