"""Anybody's motions against real ones, beside the foils and the floor that a model's motions stand beside."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.measures import Metrics
from mutoscope.data.anybody import ClipSet, Cut, Reader
from mutoscope.data.sampling import even_order
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.motion.baselines import Candidate, RealClips, foils, select
from mutoscope.kinds.motion.measure import content_of, named_clips
from mutoscope.kinds.set_measuring import protocols_of
from mutoscope.kinds.tables import Row, Table, metric_column
from mutoscope.metrics.common import AbsentMetric, TooFewSamplesError
from mutoscope.metrics.foils import matching
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo, MotionBatch, Normaliser
from mutoscope.structures.skeleton import skeleton
from mutoscope.verbs.anybody.results import ClipTask, SetEvaluation, caveats_of

#: the one class of motions that have none
_ALL = ("all",)


def measure_motions(task: ClipTask) -> SetEvaluation:
    """Measure generated motions against real ones; nothing is written.

    Raises:
        ConfigError: for motions that cannot be measured.
    """
    settings = task.settings
    reader = Reader(Cut(settings.length, settings.stride), skip_broken=settings.skip_broken)
    classes = task.real.classes or _ALL
    real, fake = (_read(reader, side, clips, classes) for side, clips in task.sides)
    info = _info(task, real, classes)
    metrics = _metrics(task.metrics, info, real.joints)
    measured = Measuring(metrics, named_clips(real), strict=task.strict)
    main = _row(measured, Candidate("fake", "model", f"What lies in {task.fake.root}.", fake))
    content = content_of(real, classes)
    protocols = protocols_of(metrics, content, info, len(fake), len(real), task.seed)
    title = f"{len(fake)} motions against {len(real)} real ones"
    tables = {"rows": Table(title, [main], _columns(metrics), protocols)}
    if (beside := _foil_table(task, info, content, real, fake)) is not None:
        tables["foils"] = beside
    protocol = {
        "real": str(task.real.root),
        "fake": str(task.fake.root),
        "clips": {"real": len(real), "fake": len(fake)},
        "left_out": reader.broken,
        "length": info.length,
        "stride": settings.stride,
        "skeleton": settings.skeleton,
        "scaled_from": [float(real.joints.min()), float(real.joints.max())],
        "real_content": content,
        "seed": task.seed,
        "command": task.command,
    }
    return SetEvaluation(
        title=f"{task.fake.root.name} against {task.real.root.name}",
        tables=tables,
        protocol=protocol,
        caveats={**measured.notes, **caveats_of(metrics)},
        command=task.command,
    )


def _read(reader: Reader, side: str, clips: ClipSet, classes: Sequence[str]) -> MotionBatch:
    read = list(reader.read(clips, f"Reading {side} motions"))
    names = [clips.clips[number].label or _ALL[0] for number, _ in read]
    if unknown := sorted(set(names) - set(classes)):
        raise ConfigError(
            f"{clips.root} has the class '{unknown[0]}', the real motions have {', '.join(classes)}. Give both sides "
            "the same classes, by folders or by clips.labels."
        )
    joints = torch.stack([values for _, values in read])
    label = torch.tensor([classes.index(name) for name in names])
    return MotionBatch(joints, label, torch.ones(joints.shape[:2], dtype=torch.bool))


def _info(task: ClipTask, real: MotionBatch, classes: Sequence[str]) -> DatasetInfo:
    named, (t, v, c) = task.settings.skeleton, real.joints.shape[1:]
    body = None if named is None else skeleton(named)
    if body is not None and body.num_joints != v:
        raise ConfigError(f"clips.skeleton={named} has {body.num_joints} joints, the motions have {v}.")
    low, high = float(real.joints.min()), float(real.joints.max())
    if not high > low:
        raise ConfigError(f"All coordinates of {task.real.root} are {low:g}; there is no motion to compare with.")
    return DatasetInfo(
        name="clips",
        kind="motion",
        classes=tuple(classes),
        fps=task.settings.fps or 30.0,
        length=t,
        channels=c,
        skeleton=body,
        normaliser=Normaliser.from_range(low, high, c),
    )


def _metrics(nodes: Metrics, info: DatasetInfo, reference: Tensor) -> dict[str, Metric]:
    """Those that can be had without knowing the bones are had; the others say what they lack."""
    chosen, lacking = dict(nodes), {}
    if info.skeleton is None and chosen.pop("bone_drift", None) is not None:
        reason = "it needs to know the bones: clips.skeleton=ntu25, h36m16, h36m15 or cmu31."
        lacking["bone_drift"] = AbsentMetric(reason)
    return {**build_metrics(chosen, Provided(info, {"reference": lambda: reference})), **lacking}


def _columns(metrics: Mapping[str, Metric]) -> list[Any]:
    return [metric_column(name, metric, "units of the files") for name, metric in metrics.items()]


def _row(measured: Measuring, one: Candidate) -> Row:
    found = measured.row(one.name, [{**named_clips(one.clips), "real": False}])
    return Row(
        one.name, one.role, one.what, len(one.clips), found.values, absent=found.absent, intervals=found.intervals
    )


def _foil_table(task: ClipTask, info: DatasetInfo, content: str, real: MotionBatch, fake: MotionBatch) -> Table | None:
    """Half of the real motions, and what is made of them, against the other half, all with the same classes."""
    held, reference = _halves(real, task.settings.foils, task.seed)
    if len(held) < 2:
        return None
    divided = RealClips(reference, reference, held, None, "held_out", "clip by clip")
    made = [one for one in foils(divided, task.seed) if one.role == "foil"]
    backwards = replace(held, joints=held.joints.flip(1))
    made.append(Candidate("reversed", "foil", "Real motions that run backwards.", backwards))
    made.append(Candidate("real (floor)", "floor", "Other real motions: what a perfect generator would score.", held))
    try:
        some = select(fake, matching(fake.label, held.label, task.seed))
        made.insert(0, Candidate("fake", "model", "Generated motions of the same classes.", some))
    except TooFewSamplesError as error:
        say(f"The table of foils has no row of generated motions: {error}")
    metrics = _metrics(task.metrics, info, reference.joints)
    measured = Measuring(metrics, named_clips(reference), strict=task.strict)
    rows = [_row(measured, one) for one in made]
    among = f"{content}, {len(reference)} of them"
    protocols = protocols_of(metrics, among, info, len(held), len(reference), task.seed)
    title = f"Floors and foils: {len(held)} motions against {len(reference)} real ones"
    return Table(title, rows, _columns(metrics), protocols)


def _halves(real: MotionBatch, limit: int, seed: int) -> tuple[MotionBatch, MotionBatch]:
    """Two parts of the real motions with the same classes, ``limit`` motions each at most."""
    order = even_order(real.label, seed)
    # the place of every motion among those of its class
    rank = torch.zeros(len(real), dtype=torch.long)
    for k in real.label.unique():
        here = order[real.label[order] == k]
        rank[here] = torch.arange(len(here))
    full = torch.bincount(real.label)[real.label] // 2 * 2
    sides = [order[((rank % 2 == parity) & (rank < full))[order]][:limit] for parity in (0, 1)]
    return select(real, sides[0]), select(real, sides[1])
