"""``evaluate`` for motion: a table of metrics with their floor."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torchmetrics import Metric

from mutoscope.assembly import build_metrics, clips_of
from mutoscope.config import build
from mutoscope.console import say
from mutoscope.facts import run_facts
from mutoscope.formats.files import replacing
from mutoscope.kinds.base import EvaluationTask
from mutoscope.kinds.motion_report import write_report
from mutoscope.metrics.motion import RecognitionAccuracy
from mutoscope.models.base import GenerativeModule, seeded
from mutoscope.recognition import TrainedRecognizer, recognizer_for
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import MotionBatch

#: real training clips that everything is held against
REFERENCE_CLIPS = 5000


@dataclass(frozen=True)
class Row:
    """One line of the table: what stood in the generator's place and what the metrics say of it.

    Args:
        name: e.g. ``trained``.
        count: clips measured.
        values: by metric name.
        per_class: recognition accuracy by class name.
    """

    name: str
    count: int
    values: dict[str, float]
    per_class: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Everything an evaluation found; what the report shows."""

    rows: list[Row]
    protocol: dict[str, Any]
    fake: torch.Tensor
    real: MotionBatch


def evaluate_motion(task: EvaluationTask) -> Evaluation:
    """Measure a trained model against its untrained self and against held-out real clips.

    All three rows are held against the same training clips and count the same number of clips with the same classes,
    those of the held-out clips, because every one of these metrics depends on the count.
    """
    config, model, datamodule, out = task.config, task.model, task.datamodule, task.out
    recognizer = recognizer_for(datamodule, config["recognizer"])
    info = model.info
    train = clips_of(datamodule, "train")
    reference = clips_of(datamodule, "train", limit=REFERENCE_CLIPS, seed=config["seed"])
    limit = config["samples_per_class"] * info.num_classes
    held_out = clips_of(datamodule, config["split"], limit=limit, seed=config["seed"])
    metrics = build_metrics(config["metrics"], info, recognizer=recognizer.network, reference=train.joints)

    with seeded(config["seed"], torch.device("cpu")):
        untrained: GenerativeModule = build(task.trained_config["model"], "model", info=info).eval()
    rows, fake = [], None
    for name, candidate in (("untrained", untrained), ("trained", model)):
        sample = candidate.to(task.device).generate(held_out, seed=config["seed"], truncation=config["truncation"])
        fake = sample.fake.cpu()
        say(f"Measuring {len(fake)} clips of the {name} model ...")
        rows.append(
            _measure(name, MotionBatch(fake, held_out.label, torch.ones_like(held_out.mask)), reference, metrics, info)
        )
    say(f"Measuring {len(held_out)} held-out real clips ...")
    rows.append(_measure("real, held out (floor)", held_out, reference, metrics, info))
    assert fake is not None

    evaluation = Evaluation(rows, _protocol(config, datamodule, recognizer, held_out, reference), fake, held_out)
    out.mkdir(parents=True, exist_ok=True)
    _write_json(evaluation, out / "metrics.json")
    say(_table(evaluation, metrics))
    report = write_report(out, evaluation, metrics, model, task.checkpoint, run_facts())
    save_motion_gallery(out / "media", fake, held_out.label, info, real=held_out.joints, per_class=2)
    say(f"Wrote {out / 'metrics.json'}, {out / 'media'} and {report}.")
    return evaluation


def _measure(
    name: str, candidate: MotionBatch, reference: MotionBatch, metrics: Mapping[str, Metric], info: Any
) -> Row:
    values: dict[str, float] = {}
    per_class: dict[str, float] = {}
    for key, metric in metrics.items():
        metric.reset()
        for part, real in ((reference, True), (candidate, False)):
            metric.update(part.joints, part.label, part.mask, real=real)
        values[key] = float(metric.compute())
        if isinstance(metric, RecognitionAccuracy):
            per_class = {info.classes[i]: float(v) for i, v in enumerate(metric.per_class()) if bool(torch.isfinite(v))}
        metric.reset()
    return Row(name, len(candidate), values, per_class)


def _protocol(
    config: Mapping[str, Any],
    datamodule: Any,
    recognizer: TrainedRecognizer,
    held_out: MotionBatch,
    reference: MotionBatch,
) -> dict[str, Any]:
    info = datamodule.info
    return {
        "dataset": info.name,
        "dataset_fingerprint": datamodule.fingerprint,
        "skeleton": info.need_skeleton().name,
        "length": info.length,
        "fps": info.fps,
        "root": info.root,
        "clips_per_row": len(held_out),
        "reference_clips": len(reference),
        "reference": "training split",
        "recognizer_sha256": recognizer.sha256,
        "recognizer_val_accuracy": recognizer.accuracy,
        "truncation": config["truncation"],
        "seed": config["seed"],
        "checkpoint": str(config["checkpoint"]),
    }


def _write_json(evaluation: Evaluation, path: Path) -> None:
    content = {
        "rows": [
            {"name": r.name, "clips": r.count, "metrics": r.values, "accuracy_per_class": r.per_class}
            for r in evaluation.rows
        ],
        "protocol": evaluation.protocol,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2))


def _table(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> Table:
    table = Table(title=f"{evaluation.protocol['clips_per_row']} clips per row, held against training clips")
    table.add_column("")
    for name, metric in metrics.items():
        arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
        table.add_column(name + arrow, justify="right")
    for row in evaluation.rows:
        table.add_row(row.name, *(f"{row.values[name]:.3f}" for name in metrics))
    return table
