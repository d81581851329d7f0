"""The page that an evaluation of motion leaves behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from torchmetrics import Metric

from mutoscope.loggers import read_metrics
from mutoscope.models.base import GenerativeModule
from mutoscope.render.report import Chart, Column, Report

if TYPE_CHECKING:
    from mutoscope.kinds.motion_evaluation import Evaluation

#: charts of a training run: title, the logged numbers, what they are
_CHARTS = (
    Chart("Motion FID", ("metric/motion_fid",), "Distance to real clips while training; lower is better.", log=True),
    Chart(
        "Recognition accuracy",
        ("metric/accuracy",),
        "Share of samples recognised as the class asked for; higher is better.",
    ),
    Chart("Losses", ("loss/critic", "loss/generator"), "Of a WGAN: only their course says something, not their level."),
    Chart(
        "Critic gap",
        ("health/critic_gap",),
        "How far the critic can still tell real from generated; shrinks as they meet.",
    ),
    Chart(
        "Spread",
        ("health/fake_spread", "health/real_spread"),
        "Variety within a batch; generated far below real means collapse.",
    ),
    Chart(
        "Gradient norms",
        ("health/grad_norm_critic", "health/grad_norm_generator"),
        "Sudden growth warns of divergence.",
        log=True,
    ),
)


def write_report(
    out: Path,
    evaluation: "Evaluation",
    metrics: Mapping[str, Metric],
    model: GenerativeModule,
    checkpoint: Path,
    facts: Mapping[str, Any],
) -> Path:
    """``report.html`` in ``out``: the table, playing animations of every class, curves, and how to repeat it."""
    info, protocol = model.info, evaluation.protocol
    trained = next(row for row in evaluation.rows if row.name == "trained")
    report = Report(
        f"{type(model).__name__} on {info.name}",
        f"Skeletons performing {info.num_classes} actions, generated from noise and a class label by a model trained "
        f"for {model.iterations:,} iterations ({model.samples_seen:,} clips seen). Nothing on this page labelled as "
        "generated is reconstructed from a real clip.",
    )
    report.add_facts(
        {
            "Dataset": info.name,
            "Skeleton": f"{info.need_skeleton().name}, {info.need_skeleton().num_joints} joints",
            "Clip": f"{info.length} frames at {info.fps:g} fps",
            "Iterations": model.iterations,
            "Parameters": sum(p.numel() for p in model.generator.parameters()),
            "Seed": protocol["seed"],
            "Truncation": "off" if protocol["truncation"] is None else protocol["truncation"],
            "torch": facts["versions"]["torch"],
            "mutoscope": facts["versions"]["mutoscope"],
        }
    )
    shown = _one_per_class(evaluation.real.label, info.num_classes, 2)
    report.add_motion(
        "Generated beside real",
        evaluation.fake[shown],
        evaluation.real.label[shown],
        info,
        real=evaluation.real.joints[shown],
        per_class=2,
        note="Two held-out real clips of every class, and beside them what the model made for the same class.",
    )
    floor = evaluation.rows[-1].name
    report.add_table(
        "How good is it?",
        [{"": row.name, "clips": row.count, **row.values} for row in evaluation.rows],
        [
            Column("", ""),
            Column("clips", digits=0),
            *(
                Column(
                    name,
                    explain=str(getattr(metric, "meaning", "")),
                    better={True: "higher", False: "lower", None: None}[metric.higher_is_better],
                    digits=3,
                )
                for name, metric in metrics.items()
            ),
        ],
        note=f"Every row counts {protocol['clips_per_row']} clips with the same classes and is held against "
        f"{protocol['reference_clips']} training clips. The last row puts held-out real clips in the generator's "
        "place: it is what a perfect generator would score.",
        command=f"python evaluate.py checkpoint={checkpoint} seed={protocol['seed']}",
        reference=[floor],
    )
    accuracy = {row.name: row.per_class for row in evaluation.rows}
    report.add_table(
        "Recognised as asked, class by class",
        [{"class": name, **{row: values.get(name) for row, values in accuracy.items()}} for name in trained.per_class],
        [Column("class"), *(Column(name, digits=2) for name in accuracy)],
        note=f"Of the held-out real clips the recogniser names {protocol['recognizer_val_accuracy']:.1%} rightly.",
    )
    # an exported folder has no history beside it
    run_dir = checkpoint if checkpoint.is_dir() else checkpoint.parent.parent
    rows = read_metrics(run_dir / "metrics.jsonl")
    charts = [chart for chart in _CHARTS if all(any(line in row for row in rows) for line in chart.lines)]
    if charts:
        report.add_curves("How it learned", rows, charts, note="The horizontal axis counts iterations (mini-batches).")
    report.add_details("Protocol", yaml.safe_dump(dict(protocol), sort_keys=False))
    config = run_dir / "config.yaml"
    if config.is_file():
        report.add_details("Training configuration", config.read_text())
    report.add_details("Made with", yaml.safe_dump(dict(facts), sort_keys=False))
    return report.write(out / "report.html")


def _one_per_class(label: torch.Tensor, classes: int, count: int) -> torch.Tensor:
    return torch.cat([(label == k).nonzero()[:count, 0] for k in range(classes)])
