"""Anybody's videos against real ones: one pass over the files, then all metrics on what was seen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from mutoscope.data.anybody import ClipSet, Cut, Reader
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.sets import Features, Side, compares_pairs, extractor_of, extractors_of, pin_extractors
from mutoscope.kinds.measuring import reason_of, value_of
from mutoscope.kinds.tables import Role, Row, Table, metric_column
from mutoscope.metrics.common import AbsentMetric, TooFewSamplesError
from mutoscope.metrics.foils import frozen_first_frames
from mutoscope.metrics.neighbours import NearestRealClip
from mutoscope.metrics.protocol import protocol_of
from mutoscope.render.page.tables import Column
from mutoscope.runtime.cache import default_cache, fingerprint
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo
from mutoscope.training.trainer import place
from mutoscope.verbs.anybody.results import ClipSettings, SetEvaluation, caveats_of

#: clips that go to metrics at a time
_BATCH = 8


def measure_videos(
    real: ClipSet, fake: ClipSet, config: Mapping[str, Any], settings: ClipSettings, command: str
) -> SetEvaluation:
    cut = Cut(settings.length, settings.stride, settings.size, settings.fps)
    reader = Reader(cut, skip_broken=settings.skip_broken)
    info = DatasetInfo(name="clips", kind="video", classes=(), fps=1.0, length=settings.length or 1, channels=3)
    metrics = build_metrics(config["metrics"] or {}, Provided(info))
    metrics["nearest_real"] = NearestRealClip()
    extractors = extractors_of(metrics)
    pin_extractors(metrics, place(config.get("accelerator") or "auto"))
    pairs = {name: metric for name, metric in metrics.items() if compares_pairs(metric)}
    single = {
        name: metric
        for name, metric in metrics.items()
        if name not in pairs and extractor_of(metric) is None and not isinstance(metric, AbsentMetric)
    }
    paired = [clip.name for clip in real.clips] == [clip.name for clip in fake.clips]
    half = min(len(fake.clips), len(real.clips) // 2, settings.foils)
    order = torch.randperm(len(real.clips), generator=torch.Generator().manual_seed(config["seed"])).tolist()
    wanted = set(order[: 2 * half])

    key = fingerprint({**vars(cut), "rule": 1}, real.files)
    known = Features.kept(default_cache() / "features", key, extractors, len(real.clips))
    sides = {"real": known or Features(), "fake": Features()}
    kept: dict[int, Tensor] = {}
    broken: dict[str, str] = {}

    def tried(name: str, metric: Metric, frames: Mapping[str, Tensor]) -> None:
        if name not in broken:
            try:
                metric.update(**frames)
            except ValueError as error:
                broken[name] = str(error)

    def take(side: str, numbers: Sequence[int], frames: Tensor) -> None:
        if side == "fake" or known is None:
            sides[side].add(extractors, frames)
        for name, metric in single.items():
            tried(name, metric, {f"{side}_frames": frames})
        if side == "real":
            kept.update({number: frames[i] for i, number in enumerate(numbers) if number in wanted})

    if paired and pairs:
        streams = [_batches(reader, clips, side) for side, clips in (("real", real), ("fake", fake))]
        for one, other in zip_longest(*streams):
            # a clip that is broken on one side has no partner
            if one is None or other is None or one[0] != other[0]:
                raise ConfigError("Clips were left out on one side only, so pairs are lost; remove them on both sides.")
            take("real", *one)
            take("fake", *other)
            for name, metric in pairs.items():
                tried(name, metric, {"fake_frames": other[1], "real_frames": one[1]})
    else:
        for side, clips in (("real", real), ("fake", fake)):
            for numbers, frames in _batches(reader, clips, side):
                take(side, numbers, frames)
        broken |= dict.fromkeys(pairs, "it compares pairs, and the files of the two sides have different names.")
    if known is None and not reader.broken:
        sides["real"].keep(default_cache() / "features", key)
    assert reader.shape is not None
    info = DatasetInfo(
        name="clips",
        kind="video",
        classes=real.classes,
        fps=reader.fps or 1.0,
        length=reader.shape[0],
        channels=3,
        frame_size=(reader.shape[2], reader.shape[3]),
    )

    counts = {side: (sides[side].clips if extractors else len(c.clips)) for side, c in (("real", real), ("fake", fake))}
    answers = _Answers(config.get("debug", False))
    main = answers.row(
        "fake",
        "model",
        f"What lies in {fake.root}, against {real.root}.",
        counts["fake"],
        metrics,
        {
            name: _fed([(sides["real"], "real", None), (sides["fake"], "fake", None)])
            for name, metric in metrics.items()
            if extractor_of(metric) is not None
        },
        broken,
    )
    tables = {"rows": Table(f"{counts['fake']} clips against {counts['real']} real ones", [main], _columns(metrics))}
    protocols = {
        name: protocol_of(
            name,
            metric,
            dataset=key,
            info=info,
            n_fake=counts["fake"],
            n_real=counts["real"],
            seed=config["seed"],
        )
        for name, metric in metrics.items()
        if not isinstance(metric, AbsentMetric)
    }
    tables["rows"] = Table(tables["rows"].title, [main], _columns(metrics), protocols)
    there = [number for number in order if number in kept]
    half = len(there) // 2
    if half >= 2:
        chosen = {n: m for n, m in metrics.items() if not isinstance(m, AbsentMetric)}
        held, reference = torch.stack([kept[number] for number in there[: 2 * half]]).chunk(2)
        tables["foils"] = _foils(answers, chosen, held, reference, sides["fake"], config["seed"])
    if settings.curve:
        tables["counts"] = _curve(answers, metrics, sides["real"], sides["fake"], config["seed"])
    protocol = {
        "real": str(real.root),
        "fake": str(fake.root),
        "clips": counts,
        "left_out": reader.broken,
        "length": reader.shape[0],
        "stride": settings.stride,
        "frame_size": list(reader.shape[2:]),
        "resized": None if settings.size is None else "bilinear, antialiased, rounded to uint8",
        "fps": reader.fps,
        "frames": "uint8, from the first one of every file on",
        "pairs": paired,
        "seed": config["seed"],
        "real_fingerprint": key,
        "command": command,
    }
    return SetEvaluation(
        title=f"{fake.root.name} against {real.root.name}",
        tables=tables,
        protocol=protocol,
        caveats={**answers.notes, **caveats_of(metrics)},
        command=command,
    )


def _batches(reader: Reader, clips: ClipSet, side: str) -> Iterator[tuple[list[int], Tensor]]:
    numbers: list[int] = []
    held: list[Tensor] = []
    for number, frames in reader.read(clips, f"Measuring {side} clips"):
        numbers.append(number)
        held.append(frames)
        if len(held) == _BATCH:
            yield numbers, torch.stack(held)
            numbers, held = [], []
    if held:
        yield numbers, torch.stack(held)


_Feed = Callable[[Metric], None]


def _fed(parts: Sequence[tuple[Features, Side, Sequence[int] | None]]) -> _Feed:
    def feed(metric: Metric) -> None:
        metric.reset()
        for features, side, clips in parts:
            features.feed(metric, side, clips)

    return feed


class _Answers:
    """Values of metrics with their intervals, and reasons where there are none."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.notes: dict[str, str] = {}

    def row(
        self,
        name: str,
        role: Role,
        what: str,
        count: int,
        metrics: Mapping[str, Metric],
        feeds: Mapping[str, _Feed],
        broken: Mapping[str, str],
    ) -> Row:
        values: dict[str, float | None] = {}
        absent: dict[str, str] = {}
        intervals: dict[str, tuple[float, float]] = {}
        for key, metric in metrics.items():
            try:
                if key in broken:
                    raise TooFewSamplesError(broken[key])
                if key in feeds:
                    feeds[key](metric)
                values[key], intervals_of_one, note = value_of(metric)
                if intervals_of_one is not None:
                    intervals[key] = intervals_of_one
                if note:
                    self.notes[key] = note
            except Exception as error:
                if self.strict and not isinstance(error, ValueError):
                    raise
                values[key], absent[key] = None, reason_of(error)
        return Row(name, role, what, count, values, absent=absent, intervals=intervals)


def _columns(metrics: Mapping[str, Metric]) -> list[Column]:
    return [metric_column(name, metric, "px") for name, metric in metrics.items()]


def _foils(
    answers: _Answers,
    metrics: Mapping[str, Metric],
    held: Tensor,
    reference: Tensor,
    fake: Features,
    seed: int,
) -> Table:
    """Real clips, and what was made of them, in the generator's place: all at one count, against the same clips."""
    n, t = held.shape[:2]
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.rand(n, t, generator=generator).argsort(dim=1)
    blurred = F.avg_pool2d(held.flatten(0, 1).float(), 5, stride=1, padding=2, count_include_pad=False)
    others = torch.stack([torch.randperm(n, generator=generator) for _ in range(t)], dim=1)
    made = {
        "frozen first frame": (frozen_first_frames(held), "Real clips that stand still as they begin."),
        "shuffled frames": (held[torch.arange(n)[:, None], shuffled], "Their frames in disorder."),
        "reversed": (held.flip(1), "They run backwards."),
        "blurred": (blurred.round().to(torch.uint8).unflatten(0, (n, t)), "A mean over 5 x 5 pixels."),
        "other clips' frames": (held[others, torch.arange(t)], "Every frame from another clip."),
        "half of the modes": (held[torch.arange(n) % max(1, n // 2)], "Half of them, each twice."),
    }
    extractors = extractors_of(metrics)
    against = Features()
    against.add(extractors, reference)
    picks = torch.randperm(fake.clips, generator=generator)[:n].tolist() if fake.clips else []

    def row(name: str, role: Role, what: str, features: Features, clips: Tensor | None, picked: Any = None) -> Row:
        feeds: dict[str, _Feed] = {}
        lacking: dict[str, str] = {}
        for key, metric in metrics.items():
            if extractor_of(metric) is not None:
                feeds[key] = _fed([(against, "real", None), (features, "fake", picked)])
            elif clips is None:
                lacking[key] = "it is in the table above."
            elif compares_pairs(metric) and clips is held:
                lacking[key] = "it would compare clips with themselves."
            else:
                real = held if compares_pairs(metric) else reference
                feeds[key] = _updated(clips, real)
        return answers.row(name, role, what, n, metrics, feeds, lacking)

    def seen(clips: Tensor) -> Features:
        found = Features()
        found.add(extractors, clips)
        return found

    rows = [row("fake", "model", f"{n} of the generated clips.", fake, None, picks)] if extractors else []
    rows.append(row("real (floor)", "floor", "Other real clips: what perfect generation scores.", seen(held), held))
    for name, (clips, what) in made.items():
        say(f"Measuring {n} clips: {name} ...")
        rows.append(row(name, "foil", what, seen(clips.contiguous()), clips.contiguous()))
    return Table(f"Floors and foils: {n} clips against {n} real ones", rows, _columns(metrics))


def _updated(fake: Tensor, real: Tensor) -> _Feed:
    def feed(metric: Metric) -> None:
        metric.reset()
        metric.update(fake_frames=fake, real_frames=real)

    return feed


def _curve(answers: _Answers, metrics: Mapping[str, Metric], real: Features, fake: Features, seed: int) -> Table:
    """Distances at an eighth, a quarter, half and all of the clips, and the line through them at infinitely many.

    Chong and Forsyth (2020): the bias of a Fréchet distance goes with one over the number of samples.
    """
    generator = torch.Generator().manual_seed(seed)
    of_sets = {name: metric for name, metric in metrics.items() if extractor_of(metric) is not None}
    n = min(real.clips, fake.clips)
    rows = []
    for count in sorted({max(2, n // 8), max(2, n // 4), max(2, n // 2), n}):
        picks = [torch.randperm(side.clips, generator=generator)[:count].tolist() for side in (real, fake)]
        feeds = {name: _fed([(real, "real", picks[0]), (fake, "fake", picks[1])]) for name, metric in of_sets.items()}
        rows.append(answers.row(f"{count} clips", "model", f"{count} of either side.", count, of_sets, feeds, {}))
    limits: dict[str, float | None] = {}
    for name in of_sets:
        points = [(1 / row.count, value) for row in rows if (value := row.values[name]) is not None]
        limits[name] = None
        if len(points) >= 3:
            x = torch.tensor([[1.0, place] for place, _ in points], dtype=torch.float64)
            y = torch.tensor([[value] for _, value in points], dtype=torch.float64)
            limits[name] = float(torch.linalg.lstsq(x, y).solution[0])
    lacking = {name: "a line needs 3 counts." for name, value in limits.items() if value is None}
    what = "A straight line over one over the number of clips, at infinitely many."
    rows.append(Row("extrapolated", "oracle", what, n, limits, absent=lacking))
    return Table("By the number of clips", rows, _columns(of_sets))
