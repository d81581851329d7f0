"""``evaluate`` for motion: models beside foils and floors, in one table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from rich.table import Table
from torchmetrics import Metric

from mutoscope.config.nodes import build
from mutoscope.evaluators.trained import TrainedRecognizer
from mutoscope.kinds.base import EvaluationTask
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.motion.baselines import Candidate, RealClips, foils, real_clips
from mutoscope.kinds.motion.measure import motion_metrics, named_clips
from mutoscope.kinds.motion.report import write_report
from mutoscope.kinds.motion.results import Evaluation, Row
from mutoscope.models.generative import GeneratesMotion, GenerativeModule
from mutoscope.models.seeding import seeded
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing
from mutoscope.runtime.provenance import run_facts
from mutoscope.structures import MotionBatch


def evaluate_motion(task: EvaluationTask) -> Evaluation:
    """Measure trained models beside an untrained one, foils and real clips.

    All rows are held against the same real clips and count the same number of clips with the same classes, those of
    the held-out clips, because these metrics depend on the count.
    """
    config, model, datamodule, out = task.config, task.model, task.datamodule, task.out
    info, seed = model.info, config["seed"]
    limit = config["samples_per_class"] * info.num_classes
    if config["reference"] not in ("train", "held_out"):
        raise ConfigError(f"reference is '{config['reference']}', expected train or held_out.")
    real = real_clips(datamodule, config["split"], limit, config["reference"], seed)
    below = foils(real, seed)
    if taken := {"untrained", "trained", *(foil.name for foil in below)} & set(task.beside):
        raise ConfigError(f"beside names a checkpoint '{taken.pop()}', which is a row already; give it another name.")
    metrics, recognizers = motion_metrics(datamodule, config, real.all_training.joints)
    measuring = Measuring(metrics, named_clips(real.reference))

    with seeded(seed, torch.device("cpu")):
        untrained: GenerativeModule = build(task.trained_config["model"], "model", info=info).eval()
    always = torch.ones_like(real.held_out.mask)
    models: list[tuple[str, GenerativeModule, str]] = [
        ("untrained", untrained, "The model before its first iteration."),
        ("trained", model, _origin(model, config["checkpoint"])),
        *((name, other, _origin(other, config["beside"][name])) for name, other in task.beside.items()),
    ]
    rows: list[Row] = []
    fakes: dict[str, torch.Tensor] = {}
    for name, candidate, what in models:
        asked = cast(GeneratesMotion, candidate.to(task.device))
        sample = asked.generate(real.held_out, seed=seed, truncation=config["truncation"])
        fakes[name] = sample.fake.cpu()
        clips = MotionBatch(fakes[name], real.held_out.label, always)
        rows.append(_measure(Candidate(name, "model", what, clips), measuring, info.classes))
    rows += [_measure(foil, measuring, info.classes) for foil in below]

    caveats = {name: caveat for name, metric in metrics.items() if (caveat := getattr(metric, "caveat", ""))}
    protocol = _protocol(config, datamodule, recognizers, real)
    beside = {name: fakes[name] for name in task.beside}
    evaluation = Evaluation(rows, protocol, caveats, fakes["trained"], real.held_out, beside)
    out.mkdir(parents=True, exist_ok=True)
    _write_json(evaluation, out / "metrics.json")
    say(_table(evaluation, metrics))
    for caveat, names in evaluation.by_caveat().items():
        say(f"{', '.join(names)}: {caveat}")
    report = write_report(out, evaluation, metrics, model, task.checkpoint, run_facts())
    save_motion_gallery(
        out / "media", evaluation.fake, real.held_out.label, info, real=real.held_out.joints, per_class=2
    )
    say(f"Wrote {out / 'metrics.json'}, {out / 'media'} and {report}.")
    return evaluation


def _origin(model: GenerativeModule, checkpoint: Any) -> str:
    return f"{type(model).__name__} after {model.iterations:,} iterations, {checkpoint}."


def _measure(candidate: Candidate, measuring: Measuring, classes: tuple[str, ...]) -> Row:
    clips = candidate.clips
    say(f"Measuring {len(clips)} clips: {candidate.name} ...")
    values, per_class = measuring.row(candidate.name, [{**named_clips(clips), "real": False}])
    named = {
        key: {classes[k]: value for k, value in enumerate(every) if value == value} for key, every in per_class.items()
    }
    return Row(candidate.name, candidate.role, candidate.what, len(clips), values, named)


def _protocol(
    config: Mapping[str, Any], datamodule: Any, recognizers: Mapping[str, TrainedRecognizer], real: RealClips
) -> dict[str, Any]:
    info = datamodule.info
    return {
        "dataset": info.name,
        "dataset_fingerprint": datamodule.fingerprint,
        "skeleton": info.need_skeleton().name,
        "length": info.length,
        "fps": info.fps,
        "root": info.root,
        "split": config["split"],
        "clips_per_row": len(real.held_out),
        "reference_clips": len(real.reference),
        "reference": "training clips" if real.against == "train" else "held-out clips",
        "recognizers": {
            name: {"title": trained.title, "sha256": trained.sha256, "val_accuracy": trained.accuracy}
            for name, trained in recognizers.items()
        },
        "truncation": config["truncation"],
        "seed": config["seed"],
        "checkpoint": str(config["checkpoint"]),
        "beside": {name: str(path) for name, path in (config["beside"] or {}).items()},
    }


def _write_json(evaluation: Evaluation, path: Path) -> None:
    content = {
        "rows": [
            {
                "name": row.name,
                "role": row.role,
                "what": row.what,
                "clips": row.count,
                "metrics": row.values,
                "accuracy_per_class": row.per_class,
                "accuracy_mean_over_classes": row.mean_over_classes(),
            }
            for row in evaluation.rows
        ],
        "caveats": evaluation.caveats,
        "protocol": evaluation.protocol,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2))


def _table(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> Table:
    protocol = evaluation.protocol
    table = Table(title=f"{protocol['clips_per_row']} clips per row, held against {protocol['reference']}")
    table.add_column("", no_wrap=True)
    # one line per metric: there are more of them than fit beside one another
    for row in evaluation.rows:
        table.add_column(row.name, justify="right", min_width=max(map(len, row.name.split())))
    for name, metric in metrics.items():
        arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
        table.add_row(name + arrow, *(_number(row.values[name]) for row in evaluation.rows))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
