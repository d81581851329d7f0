"""Two sets of videos held against each other in one pass, whoever made them: a model that was asked, or anybody."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.evaluators.sets import (
    Features,
    Side,
    compares_pairs,
    extractor_of,
    extractors_of,
    looks_at_frames_alone,
    pin_extractors,
)
from mutoscope.kinds.measuring import reason_of, value_of
from mutoscope.kinds.tables import Role, Row
from mutoscope.metrics.common import AbsentMetric, TooFewSamplesError
from mutoscope.metrics.neighbours import NearestRealClip
from mutoscope.metrics.protocol import Protocol, protocol_of
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo

#: numbers of some clips in their set, and the clips ``[b, t, 3, h, w]`` uint8
Part = tuple[Sequence[int], Tensor]
#: hands a metric what it is to look at
Feed = Callable[[Metric], None]

#: clips that go to metrics at a time
BATCH = 8


def of_sets(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Those metrics that are measured here: of sets of frames, and presets that compare pairs of frames."""
    return {
        name: metric
        for name, metric in metrics.items()
        if looks_at_frames_alone(metric) and (not compares_pairs(metric) or getattr(metric, "preset", None))
    }


def parts_of(frames: Tensor) -> list[Part]:
    """Clips ``[n, t, 3, h, w]`` in parts."""
    return [(index.tolist(), frames[index]) for index in torch.arange(len(frames)).split(BATCH)]


class SetMeasuring:
    """Metrics of sets of videos; every clip is looked at once by every network, for all metrics.

    Args:
        metrics: by name, those of :func:`of_sets`; the distance to the nearest real clip is added.
        device: where networks work; what they find is gathered on the processor.
        real: how many real clips there are.
        seed: of draws.
        foils: real clips that are kept for foils at most, half of them to be changed and half to be held against.
        strict: let errors through that are no metric's way to say that there is no value.
        known: what networks have found in the real clips before.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        device: torch.device,
        *,
        real: int,
        seed: int,
        foils: int,
        strict: bool = False,
        known: Features | None = None,
    ) -> None:
        self.metrics: dict[str, Metric] = {**metrics, "nearest_real": NearestRealClip()}
        pin_extractors(self.metrics, device)
        self.extractors = extractors_of(self.metrics)
        self.seed, self._strict = seed, strict
        self._known = known
        self.order = torch.randperm(real, generator=torch.Generator().manual_seed(seed)).tolist()
        self._wanted = set(self.order[: 2 * foils])
        #: what networks have found, of the real side and of the last row
        self.real, self.fake = Features(), Features()
        #: real clips for foils, by number
        self.kept: dict[int, Tensor] = {}
        #: by metric, what it warned of
        self.notes: dict[str, str] = {}
        self.shape: tuple[int, ...] = ()
        #: numbers of the clips that were measured in the last row
        self.numbers: dict[Side, list[int]] = {"real": [], "fake": []}
        self._digests: dict[int, bytes] = {}

    def row(self, name: str, role: Role, what: str, real: Iterable[Part], fake: Iterable[Part], *, paired: bool) -> Row:
        """Generated clips against the real ones, which are the same in every call.

        Args:
            name, role, what: see :class:`~mutoscope.kinds.tables.Row`.
            real, fake: the clips of both sides, in order.
            paired: whether clips of the same number go together.

        Raises:
            ConfigError: if clips that should go together do not.
        """
        pairs = {key: metric for key, metric in self.metrics.items() if compares_pairs(metric)}
        streams = {key: m for key, m in self.metrics.items() if key not in pairs and self._is_fed_frames(m)}
        for metric in self.metrics.values():
            metric.reset()
        self.real, self.fake = self._known or Features(), Features()
        broken: dict[str, str] = {}
        self.numbers = {"real": [], "fake": []}

        def tried(key: str, metric: Metric, **frames: Tensor) -> None:
            if key not in broken and not isinstance(metric, AbsentMetric):
                try:
                    metric.update(**frames)
                except Exception as error:
                    if self._strict and not isinstance(error, ValueError):
                        raise
                    broken[key] = reason_of(error)

        def take(side: Side, part: Part) -> None:
            numbers, frames = part
            self.numbers[side] += numbers
            if side == "fake" or self._known is None:
                (self.real if side == "real" else self.fake).add(self.extractors, frames)
            if side == "real":
                self._keep(numbers, frames)
            for key, metric in streams.items():
                tried(key, metric, **{f"{side}_frames": frames})

        if paired and pairs:
            for ours, theirs in _together(real, fake):
                take("real", ours)
                take("fake", theirs)
                for key, metric in pairs.items():
                    tried(key, metric, fake_frames=theirs[1], real_frames=ours[1])
        else:
            for part in real:
                take("real", part)
            for part in fake:
                take("fake", part)
            broken |= dict.fromkeys(pairs, "it compares pairs, and the files of the two sides have different names.")
        through = {key: metric for key, metric in self.metrics.items() if extractor_of(metric) is not None}
        feeds = {key: fed([(self.real, "real", None), (self.fake, "fake", None)]) for key in through}
        return self.answers(name, role, what, self.counts["fake"], self.metrics, feeds, broken)

    def answers(
        self,
        name: str,
        role: Role,
        what: str,
        count: int,
        metrics: Mapping[str, Metric],
        feeds: Mapping[str, Feed],
        lacking: Mapping[str, str],
    ) -> Row:
        """A row of what metrics say, with intervals, and reasons where they have no value.

        Args:
            name, role, what, count: see :class:`~mutoscope.kinds.tables.Row`.
            metrics: by name.
            feeds: of those metrics that have not been fed before.
            lacking: by metric, why it has no value here.
        """
        row = Row(name, role, what, count, {})
        for key, metric in metrics.items():
            try:
                if key in lacking and not isinstance(metric, AbsentMetric):
                    raise TooFewSamplesError(lacking[key])
                if key in feeds:
                    feeds[key](metric)
                row.values[key], interval, note = value_of(metric)
                if interval is not None:
                    row.intervals[key] = interval
                if note:
                    # the first row's, which counts all clips
                    self.notes.setdefault(key, note)
            except Exception as error:
                if self._strict and not isinstance(error, ValueError):
                    raise
                row.values[key], row.absent[key] = None, reason_of(error)
        return row

    @property
    def counts(self) -> dict[Side, int]:
        """How many clips were measured in the last row."""
        return {side: len(numbers) for side, numbers in self.numbers.items()}

    @property
    def content(self) -> str:
        """Fingerprint of the real clips as they were measured, wherever they lie and in whatever order."""
        return hashlib.sha256(b"".join(sorted(self._digests.values()))).hexdigest()[:16]

    def info(self, fps: float) -> DatasetInfo:
        """What is known of the clips that were measured."""
        t, _, h, w = self.shape
        return DatasetInfo(name="clips", kind="video", classes=(), fps=fps, length=t, channels=3, frame_size=(h, w))

    def protocols(self, fps: float, among: str = "") -> dict[str, Protocol]:
        """How the numbers of rows were measured; ``among`` says of which of the clips, where not of all."""
        n, m = self.counts["fake"], self.counts["real"]
        return protocols_of(self.metrics, f"{self.content}{among}", self.info(fps), n, m, self.seed)

    def _is_fed_frames(self, metric: Metric) -> bool:
        return extractor_of(metric) is None and not isinstance(metric, AbsentMetric)

    def _keep(self, numbers: Sequence[int], frames: Tensor) -> None:
        self.shape = tuple(frames.shape[1:])
        for number, clip in zip(numbers, frames, strict=True):
            if number not in self._digests:
                shape = str(tuple(clip.shape)).encode()
                self._digests[number] = hashlib.sha256(shape + clip.contiguous().numpy().tobytes()).digest()
            if number in self._wanted:
                self.kept[number] = clip


def protocols_of(
    metrics: Mapping[str, Metric], dataset: str, info: DatasetInfo, fakes: int, reals: int, seed: int
) -> dict[str, Protocol]:
    """Of all metrics that are there."""
    return {
        name: protocol_of(name, metric, dataset=dataset, info=info, n_fake=fakes, n_real=reals, seed=seed)
        for name, metric in metrics.items()
        if not isinstance(metric, AbsentMetric)
    }


def fed(parts: Sequence[tuple[Features, Side, Sequence[int] | None]]) -> Feed:
    """Hands a metric what its network has found: of which side, and of which clips (``None`` for all)."""

    def feed(metric: Metric) -> None:
        metric.reset()
        for features, side, clips in parts:
            features.feed(metric, side, clips)

    return feed


def _together(real: Iterable[Part], fake: Iterable[Part]) -> Iterator[tuple[Part, Part]]:
    for ours, theirs in zip_longest(real, fake):
        # a clip that is broken on one side has no partner
        if ours is None or theirs is None or list(ours[0]) != list(theirs[0]):
            raise ConfigError("Clips were left out on one side only, so pairs are lost; remove them on both sides.")
        yield ours, theirs
