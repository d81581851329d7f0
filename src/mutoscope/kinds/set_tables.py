"""Tables of two sets of videos: their numbers, floors and foils, class by class, and by the number of clips."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.evaluators.sets import Features, compares_pairs, extractor_of, extractors_of
from mutoscope.kinds.set_measuring import Feed, SetMeasuring, fed, parts_of, protocols_of
from mutoscope.kinds.tables import Role, Row, Table, metric_column, over_runs
from mutoscope.kinds.task import EvaluationSettings
from mutoscope.metrics.common import AbsentMetric, Side
from mutoscope.metrics.foils import shuffled_labels
from mutoscope.metrics.frame_foils import frame_foils
from mutoscope.render.page.tables import Column
from mutoscope.runtime.console import say


def columns_of(metrics: Mapping[str, Metric]) -> list[Column]:
    """One for every metric; lengths are pixels."""
    return [metric_column(name, metric, "px") for name, metric in metrics.items()]


def set_table(rows: Sequence[Row], measured: SetMeasuring, fps: float) -> Table:
    """The numbers of rows that were measured against the same real clips."""
    title = f"{measured.counts['fake']} clips against {measured.counts['real']} real ones"
    return Table(title, rows, columns_of(measured.metrics), measured.protocols(fps))


def foil_table(measured: SetMeasuring, name: str, fps: float) -> Table | None:
    """Real clips, and what is made of them, in the generator's place: all at one count, against the same clips.

    Args:
        measured: its last row is the generator's.
        name: of that row.
        fps: of the clips.

    Returns:
        ``None`` where there are fewer than 4 real clips for it.
    """
    there = [number for number in measured.order if number in measured.kept]
    n = len(there) // 2
    if n < 2:
        return None
    held, reference = torch.stack([measured.kept[number] for number in there[: 2 * n]]).chunk(2)
    metrics = {key: metric for key, metric in measured.metrics.items() if not isinstance(metric, AbsentMetric)}
    extractors = extractors_of(metrics)
    against = Features()
    against.add(extractors, reference)

    def row(
        title: str, role: Role, what: str, features: Features, clips: Tensor | None, picks: list[int] | None
    ) -> Row:
        feeds: dict[str, Feed] = {}
        lacking: dict[str, str] = {}
        for key, metric in metrics.items():
            if extractor_of(metric) is not None:
                feeds[key] = fed([(against, "real", None), (features, "fake", picks)])
            elif clips is None:
                lacking[key] = "it is in the table above."
            elif compares_pairs(metric) and clips is held:
                lacking[key] = "it would compare clips with themselves."
            else:
                feeds[key] = _updated(clips, held if compares_pairs(metric) else reference)
        return measured.answers(title, role, what, n, metrics, feeds, lacking)

    def seen(clips: Tensor) -> Features:
        found = Features()
        found.add(extractors, clips)
        return found

    rows = []
    if extractors and measured.fake.clips:
        picks = torch.randperm(measured.fake.clips, generator=torch.Generator().manual_seed(measured.seed))[:n].tolist()
        rows.append(row(name, "model", f"{len(picks)} of the generated clips.", measured.fake, None, picks))
    what = "Other real clips: what perfect generation scores."
    rows.append(row("real (floor)", "floor", what, seen(held), held, None))
    for foil in frame_foils(held, measured.seed):
        say(f"Measuring {n} clips: {foil.name} ...")
        rows.append(row(foil.name, "foil", foil.what, seen(foil.clips), foil.clips, None))
    # held against other clips than those of the rows above
    content = f"{measured.content}, half of {2 * n}"
    protocols = protocols_of(metrics, content, measured.info(fps), n, n, measured.seed)
    return Table(f"Floors and foils: {n} clips against {n} real ones", rows, columns_of(metrics), protocols)


def _updated(fake: Tensor, real: Tensor) -> Feed:
    def feed(metric: Metric) -> None:
        metric.reset()
        metric.update(fake_frames=fake, real_frames=real)

    return feed


def curve_table(measured: SetMeasuring, fps: float) -> Table:
    """Distances at an eighth, a quarter, half and all of the clips, and the line through them at infinitely many.

    Chong and Forsyth (2020): the bias of a Fréchet distance goes with one over the number of samples.
    """
    generator = torch.Generator().manual_seed(measured.seed)
    metrics = {name: metric for name, metric in measured.metrics.items() if extractor_of(metric) is not None}
    sides = measured.real, measured.fake
    n = min(side.clips for side in sides)
    rows = []
    for count in sorted({max(2, n // 8), max(2, n // 4), max(2, n // 2), n}):
        picks = [torch.randperm(side.clips, generator=generator)[:count].tolist() for side in sides]
        feed = fed([(measured.real, "real", picks[0]), (measured.fake, "fake", picks[1])])
        what = f"{count} of either side."
        rows.append(measured.answers(f"{count} clips", "model", what, count, metrics, dict.fromkeys(metrics, feed), {}))
    limits: dict[str, float | None] = {}
    for name in metrics:
        points = [(1 / row.count, value) for row in rows if (value := row.values[name]) is not None]
        limits[name] = None
        if len(points) >= 3:
            x = torch.tensor([[1.0, place] for place, _ in points], dtype=torch.float64)
            y = torch.tensor([[value] for _, value in points], dtype=torch.float64)
            limits[name] = float(torch.linalg.lstsq(x, y).solution[0])
    lacking = {name: "a line needs 3 counts." for name, value in limits.items() if value is None}
    what = "A straight line over one over the number of clips, at infinitely many."
    rows.append(Row("extrapolated", "oracle", what, n, limits, absent=lacking))
    protocols = measured.protocols(fps, ", some of them")
    return Table("By the number of clips", rows, columns_of(metrics), protocols)


def class_table(
    measured: SetMeasuring, classes: Sequence[str], labels: Mapping[Side, Tensor], fps: float
) -> Table | None:
    """Every class against the real clips of its own, their mean, and what shuffled labels make of it.

    Means are over classes of which every metric's value is there; a mean that shuffling does not raise says that the
    clips do not show what they were asked for, or that there are too few.

    Args:
        measured: its last row is the generator's.
        classes: their names.
        labels: of the clips that were measured, ``[n]`` of either side.
        fps: of the clips.

    Returns:
        ``None`` where no metric looks through a network.
    """
    metrics = {name: metric for name, metric in measured.metrics.items() if extractor_of(metric) is not None}
    if not metrics:
        return None

    def of_class(k: int, label: Tensor) -> Row:
        ours, theirs = ((one == k).nonzero()[:, 0].tolist() for one in (labels["real"], label))
        lacking = {} if ours and theirs else dict.fromkeys(metrics, "a side has no clips of this class.")
        feed = fed([(measured.real, "real", ours), (measured.fake, "fake", theirs)])
        what = f"{len(theirs)} clips of the class against {len(ours)} real ones."
        feeds = {} if lacking else dict.fromkeys(metrics, feed)
        return measured.answers(classes[k], "model", what, len(theirs), metrics, feeds, lacking)

    def mean(name: str, role: Role, what: str, rows: Sequence[Row]) -> Row:
        values: dict[str, float | None] = {}
        absent: dict[str, str] = {}
        for key in metrics:
            found = [value for row in rows if (value := row.values[key]) is not None]
            values[key] = sum(found) / len(found) if len(found) == len(rows) else None
            if values[key] is None:
                absent[key] = next(row.absent[key] for row in rows if key in row.absent)
        return Row(name, role, what, sum(row.count for row in rows), values, absent=absent)

    rows = [of_class(k, labels["fake"]) for k in range(len(classes))]
    mixed = shuffled_labels(labels["fake"], measured.seed)
    foil = [of_class(k, mixed) for k in range(len(classes))]
    return Table(
        "Class by class",
        [
            mean("mean over classes", "model", "Every class counts alike.", rows),
            mean("shuffled labels", "foil", "The same clips, their classes in random order.", foil),
            *rows,
        ],
        columns_of(metrics),
        measured.protocols(fps, ", class by class"),
    )


def sample_tables(
    metrics: Mapping[str, Metric],
    real: Tensor,
    samples: Mapping[str, tuple[str, Sequence[Tensor]]],
    settings: EvaluationSettings,
    device: torch.device,
    fps: float,
) -> tuple[dict[str, Table], dict[str, str]]:
    """What models made of real clips, measured as anybody's clips are: the same code, protocols, floors and foils.

    Args:
        metrics: those of :func:`~mutoscope.kinds.set_measuring.of_sets`.
        real: ``[n, t, 3, h, w]`` uint8.
        samples: by row, what it is, and the clips of every run, of the shape of the real ones.
        settings: seed, and what is told beside the numbers.
        device: where networks work.
        fps: of the clips.

    Returns:
        Tables by their names in ``metrics.json``, and caveats by metric; nothing where no metric asks for sets.
    """
    if not metrics or not samples:
        return {}, {}
    say(f"Measuring {len(real)} clips with {', '.join(metrics)} ...")
    foils = min(len(real) // 2, settings.sets.foils)
    measured = SetMeasuring(metrics, device, real=len(real), seed=settings.seed, foils=foils, strict=settings.strict)
    # networks remember what they found in the very same tensors
    truth = parts_of(real.cpu())
    rows: list[Row] = []
    beside: dict[str, Table | None] = {}
    for name, (what, runs) in samples.items():
        found = [measured.row(name, "model", what, truth, parts_of(run.cpu()), paired=True) for run in runs]
        rows.append(over_runs(found))
        if not beside:
            curve = curve_table(measured, fps) if settings.sets.curve else None
            beside = {"foils": foil_table(measured, name, fps), "counts": curve}
    tables = {"sets": set_table(rows, measured, fps)}
    tables |= {key: table for key, table in beside.items() if table is not None}
    caveats = {key: text for key, metric in measured.metrics.items() if (text := str(getattr(metric, "caveat", "")))}
    return tables, {**measured.notes, **caveats}
