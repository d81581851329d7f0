"""Generated motion, to be written as joints, videos and pictures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mutoscope.kinds.motion.media import (
    mixture_file,
    mixture_title,
    save_attention,
    save_mixture,
    save_sweep,
    save_trajectories,
)
from mutoscope.kinds.motion.wishes import Classes, Mixture, Sweep
from mutoscope.kinds.results import Generated
from mutoscope.render.sheet import class_file, save_motion_gallery
from mutoscope.runtime.files import replacing
from mutoscope.structures import MotionSample

Array = np.ndarray[Any, np.dtype[Any]]
#: clips of a class that its video and its sheet show
_SHOWN = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedMotion(Generated):
    """Clips of classes, or of one mixture of them.

    Args:
        sample: the clips, in the order of the wish.
        wish: what was asked for.
        attention: ``[n, t, t]`` which past frames each frame attends to, where that was asked for.
        trajectories: whether to draw the paths of all classes.
    """

    sample: MotionSample
    wish: Classes | Mixture | Sweep
    attention: Array | None = None
    trajectories: bool = False

    @property
    def joints(self) -> Array:
        """``[n, t, v, c]`` in dataset units; ``[lambdas, n, t, v, c]`` between two classes."""
        return self.sample.fake.numpy()

    def describe(self) -> str:
        return f"{len(self.sample.fake)} sequences of {self.sample.fake.shape[1]} frames"

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """``joints.npy`` in dataset units and ``info.json`` (classes, skeleton, fps, units).

        For classes ``[n, t, v, c]``, with ``labels.npy`` ``[n]``, one MP4 and one sheet per class and ``sheet.png``;
        for a mixture ``[n, t, v, c]``, with ``mix.json``, an MP4 and a sheet named after it. ``attention`` adds
        ``attention.npy`` ``[n, t, t]`` and a picture per class; ``trajectories`` adds ``trajectories.png``.
        """
        fake, info = self.joints, self.sample.info
        paths = [_save(out / "joints.npy", fake)]
        if isinstance(self.wish, Classes):
            labels = np.repeat(np.array(self.wish.labels), self.wish.counts)
            paths += [_save(out / "labels.npy", labels), _write(out / "info.json", info.to_dict())]
            shown = min(max(self.wish.counts), _SHOWN)
            paths += save_motion_gallery(out, fake, labels, info, per_class=shown, gif=gif, sheets=True)
            first = {label: labels.tolist().index(label) for label in sorted(set(self.wish.labels))}
            pictured = {class_file(info, label): (info.classes[label], number) for label, number in first.items()}
            if self.trajectories:
                paths += save_trajectories(out, fake, labels, info)
        else:
            assert isinstance(self.wish, Mixture)
            shares = {info.classes[label]: weight for label, weight in self.wish.weights.items()}
            paths += [_write(out / "mix.json", shares), _write(out / "info.json", info.to_dict())]
            paths += save_mixture(out, fake[:_SHOWN], shares, info, gif=gif)
            pictured = {mixture_file(shares): (mixture_title(shares), 0)}
        if self.attention is not None:
            paths.append(_save(out / "attention.npy", self.attention))
            paths += save_attention(out, fake, self.attention, pictured, info)
        return paths


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedSweep(GeneratedMotion):
    """Clips of all mixtures between two classes; the sample holds the mixtures one after the other.

    Args:
        wish: what was asked for.
        positions: ``[lambdas, n]`` of :func:`~mutoscope.render.motion_plots.mixture_positions`.
    """

    wish: Sweep
    positions: Array

    @property
    def joints(self) -> Array:
        return self.sample.fake.numpy().reshape(len(self.wish.lambdas), self.wish.n, *self.sample.fake.shape[1:])

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """``joints.npy`` ``[lambdas, n, t, v, c]``, ``between.json``, ``info.json``, histograms, and an MP4 and a sheet
        with one clip per mixture.
        """
        info, wish = self.sample.info, self.wish
        classes = (info.classes[wish.first], info.classes[wish.second])
        facts = {
            "classes": list(classes),
            "lambdas": list(wish.lambdas),
            "position_mean": [round(float(value), 6) for value in self.positions.mean(axis=1)],
            "position_std": [round(float(value), 6) for value in self.positions.std(axis=1)],
        }
        paths = [_save(out / "joints.npy", self.joints), _write(out / "between.json", facts)]
        paths.append(_write(out / "info.json", info.to_dict()))
        return paths + save_sweep(out, self.joints, self.positions, wish.lambdas, classes, info, gif=gif)


def _save(path: Path, array: Array) -> Path:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    return path


def _write(path: Path, data: Mapping[str, Any]) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2), encoding="utf-8")
    return path
