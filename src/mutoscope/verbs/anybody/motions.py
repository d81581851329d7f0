"""Anybody's motions against real ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mutoscope.data.anybody import ClipSet, Cut, Reader
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.tables import Role, Row, Table, metric_column
from mutoscope.metrics.common import AbsentMetric
from mutoscope.metrics.foils import frozen_first_frames
from mutoscope.metrics.protocol import protocol_of
from mutoscope.runtime.cache import fingerprint
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo, Normaliser
from mutoscope.structures.skeleton import skeleton
from mutoscope.verbs.anybody.results import ClipSettings, SetEvaluation, caveats_of


def measure_motions(
    real: ClipSet, fake: ClipSet, config: Mapping[str, Any], settings: ClipSettings, command: str
) -> SetEvaluation:
    reader = Reader(Cut(settings.length, settings.stride), skip_broken=settings.skip_broken)
    classes = real.classes or ("all",)
    joints: dict[str, Tensor] = {}
    labels: dict[str, Tensor] = {}
    for side, clips in (("real", real), ("fake", fake)):
        read = list(reader.read(clips, f"Reading {side} motions"))
        joints[side] = torch.stack([values for _, values in read])
        names = [clips.clips[number].label or "all" for number, _ in read]
        if unknown := sorted(set(names) - set(classes)):
            raise ConfigError(f"{clips.root} has the class '{unknown[0]}', {real.root} has {', '.join(classes)}.")
        labels[side] = torch.tensor([classes.index(name) for name in names])
    t, v, c = joints["real"].shape[1:]
    body = None if settings.skeleton is None else skeleton(settings.skeleton)
    if body is not None and body.num_joints != v:
        raise ConfigError(f"clips.skeleton={settings.skeleton} has {body.num_joints} joints, the motions have {v}.")
    low, high = float(joints["real"].min()), float(joints["real"].max())
    info = DatasetInfo(
        name="clips",
        kind="motion",
        classes=classes,
        fps=settings.fps or 30.0,
        length=t,
        channels=c,
        skeleton=body,
        normaliser=Normaliser.from_range(low, high, c),
    )
    nodes = dict(config["metrics"] or {})
    if body is None:
        without = "it needs to know the bones: clips.skeleton=ntu25, h36m16, h36m15 or cmu31."
        nodes.pop("bone_drift", None)
    else:
        without = ""
    metrics = build_metrics(nodes, Provided(info, {"reference": lambda: joints["real"]}))
    if without:
        metrics["bone_drift"] = AbsentMetric(without)
    reference = {"joints": joints["real"], "label": labels["real"], "mask": None, "real": True}
    measured = Measuring(metrics, reference, strict=config.get("debug", False))

    def row(name: str, role: Role, what: str, clips: Tensor, label: Tensor) -> Row:
        found = measured.row(name, [{"joints": clips, "label": label, "mask": None, "real": False}])
        return Row(name, role, what, len(clips), found.values, absent=found.absent, intervals=found.intervals)

    still, backwards = frozen_first_frames(joints["real"]), joints["real"].flip(1)
    rows = [
        row("fake", "model", f"What lies in {fake.root}.", joints["fake"], labels["fake"]),
        row("frozen", "foil", "Real motions that stand still as they begin.", still, labels["real"]),
        row("reversed", "foil", "Real motions that run backwards.", backwards, labels["real"]),
    ]
    key = fingerprint({"length": settings.length, "stride": settings.stride}, real.files)
    protocols = {
        name: protocol_of(
            name, m, dataset=key, info=info, n_fake=len(joints["fake"]), n_real=len(joints["real"]), seed=config["seed"]
        )
        for name, m in metrics.items()
        if not isinstance(m, AbsentMetric)
    }
    title = f"{len(joints['fake'])} motions against {len(joints['real'])} real ones"
    columns = [metric_column(name, metric, "units of the files") for name, metric in metrics.items()]
    protocol = {
        "real": str(real.root),
        "fake": str(fake.root),
        "clips": {side: len(x) for side, x in joints.items()},
        "left_out": reader.broken,
        "length": t,
        "stride": settings.stride,
        "skeleton": settings.skeleton,
        "scaled_from": [low, high],
        "seed": config["seed"],
        "command": command,
    }
    return SetEvaluation(
        title=f"{fake.root.name} against {real.root.name}",
        tables={"rows": Table(title, rows, columns, protocols)},
        protocol=protocol,
        caveats={**measured.notes, **caveats_of(metrics)},
        command=command,
    )
