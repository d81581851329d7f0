"""Metrics over two sets of videos in one pass: every clip is decoded once and looked through once by every network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, signature
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor
from torchmetrics import Metric

from mutoscope.evaluators.extractors import Extractor
from mutoscope.formats.state_dicts import DamagedFileError, read_safetensors
from mutoscope.metrics.common import AbsentMetric, TooFewSamplesError
from mutoscope.runtime.console import say
from mutoscope.runtime.files import replacing

Side = Literal["real", "fake"]
#: by these names metrics are handed frames
_FRAMES = ("fake_frames", "real_frames")
#: bytes of features that are kept on disk at most
_KEPT = 2**29


def extractor_of(metric: Metric) -> Extractor | None:
    """The network that a metric looks through, if it looks through nothing else."""
    found = getattr(metric, "classifier", None)
    return found if isinstance(found, Extractor) else None


def compares_pairs(metric: Metric) -> bool:
    """Whether a metric needs a real clip for every generated one."""
    taken = _taken(metric)
    return all(name in taken and taken[name].default is Parameter.empty for name in _FRAMES)


def looks_at_frames_alone(metric: Metric) -> bool:
    """Whether a metric, or the one in whose place it stands, asks for nothing but frames."""
    taken = set(_taken(metric)) - {"self"}
    return bool(taken) and taken <= set(_FRAMES)


def takes(metric: Metric, name: str) -> bool:
    """Whether a metric, or the one in whose place it stands, is handed something of this name."""
    return name in _taken(metric)


def _taken(metric: Metric) -> Mapping[str, Parameter]:
    there = metric.like if isinstance(metric, AbsentMetric) else None
    return signature((there or type(metric)).update).parameters


@dataclass
class Features:
    """What networks have found in the clips of one side.

    Args:
        tables: by network, features ``[n, d]`` and logits ``[n, k]`` of every part that was seen.
        clips: how many were seen.
        absent: by network, why it has found nothing.
    """

    tables: dict[Extractor, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    clips: int = 0
    absent: dict[Extractor, str] = field(default_factory=dict)

    def add(self, extractors: Iterable[Extractor], frames: Tensor) -> None:
        """Look at clips ``[b, t, 3, h, w]``."""
        self.clips += len(frames)
        for extractor in extractors:
            if extractor in self.absent:
                continue
            try:
                found = extractor.features(frames)
                self.tables.setdefault(extractor, []).append(found)
            except TooFewSamplesError as error:
                self.absent[extractor] = str(error)

    def feed(self, metric: Metric, side: Side, clips: Sequence[int] | None = None) -> None:
        """Hand what a metric's network has found of some clips, or all, to the metric.

        Raises:
            TooFewSamplesError: if it has found nothing.
        """
        extractor = extractor_of(metric)
        assert extractor is not None
        if extractor in self.absent:
            raise TooFewSamplesError(self.absent[extractor])
        features, logits = self.of(extractor)
        if clips is not None:
            index = torch.as_tensor(clips)
            features, logits = (x.unflatten(0, (self.clips, -1))[index].flatten(0, 1) for x in (features, logits))
        # held until the metric has taken it
        stand_in = extractor.stand_in(features, logits)
        metric.update(**{f"{side}_frames": stand_in})

    def of(self, extractor: Extractor) -> tuple[Tensor, Tensor]:
        """Features and logits of all clips."""
        parts = self.tables.get(extractor, [])
        if not parts:
            raise TooFewSamplesError("there are no clips.")
        features, logits = (torch.cat(side) for side in zip(*parts, strict=True))
        self.tables[extractor] = [(features, logits)]
        return features, logits

    def keep(self, folder: Path, key: str) -> None:
        """Write the features of every network to disk, for the next measurement against the same clips."""
        for extractor in self.tables:
            features, logits = self.of(extractor)
            if (features.nbytes + logits.nbytes) > _KEPT:
                say("The features of the real clips take too much room to be kept; they are found again next time.")
                continue
            path = folder / f"{key}_{extractor.digest}_{extractor.view_key}.safetensors"
            content = {"features": features.contiguous()}
            # where features are the logits they are written once
            if not torch.equal(features, logits):
                content["logits"] = logits.contiguous()
            with replacing(path) as temporary:
                save_file(content, temporary)

    @classmethod
    def kept(cls, folder: Path, key: str, extractors: Sequence[Extractor], clips: int) -> "Features | None":
        """What :meth:`keep` wrote, if it is all there."""
        found = cls(clips=clips)
        for extractor in extractors:
            path = folder / f"{key}_{extractor.digest}_{extractor.view_key}.safetensors"
            if not path.is_file():
                return None
            try:
                content = read_safetensors(path)
            except DamagedFileError:
                return None
            features = content["features"]
            found.tables[extractor] = [(features, content.get("logits", features))]
        return found


def pin_extractors(metrics: Mapping[str, Metric], device: torch.device) -> None:
    """Let the networks of some metrics work on a device, while what metrics gather lies on the processor."""
    for extractor in extractors_of(metrics):
        extractor.pin(device)


def extractors_of(metrics: Mapping[str, Metric]) -> list[Extractor]:
    """The networks of some metrics, each once."""
    return list(dict.fromkeys(found for metric in metrics.values() if (found := extractor_of(metric)) is not None))
