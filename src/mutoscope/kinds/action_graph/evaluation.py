"""``evaluate`` for video from action graphs: layouts, frames and control, each beside its floors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from inspect import signature
from typing import Any, Protocol, cast, runtime_checkable

import torch
from rich.table import Table
from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.nodes import build
from mutoscope.data.sampling import clips_of
from mutoscope.evaluators.metrics import build_metrics
from mutoscope.evaluators.trained import track_classifier_for
from mutoscope.kinds.action_graph.control import ControlRow, arrival_rows, composed_rows, timing_rows
from mutoscope.kinds.action_graph.measure import CHUNK, chunks, named_layout, named_sample
from mutoscope.kinds.action_graph.report import write_report
from mutoscope.kinds.action_graph.results import ActionGraphEvaluation, Row
from mutoscope.kinds.base import EvaluationTask
from mutoscope.kinds.measuring import Measuring
from mutoscope.models.generative import GeneratesFromGraphs, GenerativeModule
from mutoscope.models.seeding import seeded
from mutoscope.runtime.console import say
from mutoscope.runtime.files import replacing
from mutoscope.structures import ActionGraphBatch, ActionGraphSample

#: what layouts are called in tables (Table 4)
LAYOUTS = {
    "gcn": "GCN",
    "rnn": "RNN",
    "rule": "rule",
    "copy": "copy first frame",
    "random": "random",
    "ground_truth": "ground truth",
}
#: pairs of clips generated for the timing of each action (the paper asked about 90 pairs in all)
TIMING_PAIRS = 18


@runtime_checkable
class LaysOut(Protocol):
    """A model that makes layouts first and can make them in several ways."""

    @property
    def layouts(self) -> Sequence[str]:
        """Names of the ways there are, its own first."""

    def lay_out(self, batch: ActionGraphBatch, layout: str | None = None, *, seed: int = 0) -> Tensor:
        """Boxes ``[n, t, 4]`` for the graphs and first boxes of a batch."""


def evaluate_action_graphs(task: EvaluationTask) -> ActionGraphEvaluation:
    """Measure a trained model beside rules, copies and the truth, all on the same held-out clips."""
    config, model, datamodule, info = task.config, task.model, task.datamodule, task.model.info
    classifier = track_classifier_for(datamodule, config["recognizer"])
    metrics = build_metrics(config["metrics"], info, track_classifier=classifier.network)
    of_layouts = {n: m for n, m in metrics.items() if "fake_frames" not in signature(type(m).update).parameters}
    of_frames = {n: m for n, m in metrics.items() if n not in of_layouts}
    limit = config["samples_per_class"] * info.num_classes
    clips: ActionGraphBatch = clips_of(datamodule, config["split"], limit=limit, seed=config["seed"])

    say(f"Laying out {len(clips)} clips in every way there is ...")
    layouts = _layout_rows(model, clips, of_layouts, config["seed"]) if isinstance(model, LaysOut) else []

    say(f"Generating {len(clips)} clips: trained ...")
    sample = _generate(model, clips, None, config["seed"])
    if sample.drawn:
        rows = _frame_rows(task, clips, sample, of_frames)
    else:
        rows, left_out = [], f" {', '.join(of_frames)} are left out, and" if of_frames else ""
        say(f"The model lays out boxes and draws no frames:{left_out} pictures show boxes on the first frame.")

    def generate(asked: ActionGraphBatch) -> ActionGraphSample:
        return _generate(model, asked, None, config["seed"])

    say("Asking for single actions early and late, and for composed actions ...")
    control = [
        *timing_rows(clips, generate, info, TIMING_PAIRS),
        *composed_rows(clips, generate, info, classifier.network, config["seed"]),
        *arrival_rows(clips, sample, info),
    ]
    protocol = {
        "dataset": info.name,
        "dataset_fingerprint": datamodule.fingerprint,
        "split": config["split"],
        "clips": len(clips),
        "length": info.length,
        "fps": info.fps,
        "frame_size": list(info.need_frame_size()),
        "frames": "uint8, autoregressive from the first true one" if sample.drawn else None,
        "layout": model.layouts[0] if isinstance(model, LaysOut) else None,
        "track_classifier_sha256": classifier.sha256,
        "track_classifier_val_accuracy": classifier.accuracy,
        "timing_pairs_per_action": TIMING_PAIRS,
        "seed": config["seed"],
        "checkpoint": str(config["checkpoint"]),
    }
    evaluation = ActionGraphEvaluation(layouts, rows, control, protocol, sample, clips)
    _write_json(evaluation, task)
    tables = {"Layouts": evaluation.layouts, "Frames": evaluation.frames}
    for title, table in ((title, table) for title, table in tables.items() if table):
        say(_table(f"{title}, {len(clips)} held-out clips", table, metrics))
    say(_control_table(evaluation.control))
    report = write_report(task, evaluation, metrics)
    say(f"Wrote {task.out / 'metrics.json'}, {task.out / 'media'} and {report}.")
    return evaluation


def _layout_rows(model: LaysOut, clips: ActionGraphBatch, metrics: Mapping[str, Metric], seed: int) -> list[Row]:
    rows, measured = [], Measuring(metrics)
    for name in model.layouts:
        title = LAYOUTS.get(name, name)
        named = [named_layout(part, model.lay_out(part, name, seed=seed).cpu()) for part in chunks(clips)]
        rows.append(Row(title, measured.row(title, named)[0]))
    return rows


def _frame_rows(
    task: EvaluationTask, clips: ActionGraphBatch, trained: ActionGraphSample, metrics: Mapping[str, Metric]
) -> list[Row]:
    """What was generated beside other ways to make frames: without training, into true boxes, and not at all."""
    model, seed = task.model, task.config["seed"]
    with seeded(seed, torch.device("cpu")):
        untrained: GenerativeModule = build(task.trained_config["model"], "model", info=model.info).eval()
    assert clips.frames is not None
    still, truth = clips.frames[:, :1].expand_as(clips.frames), clips.frames
    given = {"real_frames": truth, **named_layout(clips, clips.boxes)}
    measured = Measuring(metrics)

    def row(name: str, named: Mapping[str, Any]) -> Row:
        return Row(name, measured.row(name, [named])[0])

    def generated(name: str, candidate: GenerativeModule, layout: str | None) -> Row:
        say(f"Generating {len(clips)} clips: {name} ...")
        return row(name, named_sample(_generate(candidate.to(task.device), clips, layout, seed)))

    return [
        generated("untrained", untrained, None),
        row("trained", named_sample(trained)),
        generated("trained, true layout", model, "ground_truth"),
        row("copy first frame", {"fake_frames": still, **given}),
        row("real (floor)", {"fake_frames": truth, **given}),
    ]


def _generate(model: GenerativeModule, clips: ActionGraphBatch, layout: str | None, seed: int) -> ActionGraphSample:
    asked = cast(GeneratesFromGraphs, model)
    sample = asked.generate(clips, seed=seed, layout=layout, batch_size=CHUNK)
    return replace(sample, fake=sample.fake.cpu(), boxes=sample.boxes.cpu(), asked=clips, real=clips.frames)


def _write_json(evaluation: ActionGraphEvaluation, task: EvaluationTask) -> None:
    content = {
        "layouts": [asdict(row) for row in evaluation.layouts],
        "frames": [asdict(row) for row in evaluation.frames],
        "control": [asdict(row) for row in evaluation.control],
        "protocol": evaluation.protocol,
    }
    with replacing(task.out / "metrics.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2))


def _table(title: str, rows: list[Row], metrics: Mapping[str, Metric]) -> Table:
    table = Table(title=title)
    table.add_column("")
    for name in rows[0].values:
        arrow = {True: " ↑", False: " ↓", None: ""}[metrics[name].higher_is_better]
        # folded where the window is narrow: a name that is cut off may look like another
        table.add_column(name + arrow, justify="right", overflow="fold")
    for row in rows:
        table.add_row(row.name, *(_number(value) for value in row.values.values()))
    return table


def _control_table(rows: list[ControlRow]) -> Table:
    table = Table(title="Control")
    for column in ("question", "cases", "answer", "by chance"):
        table.add_column(column, justify="left" if column == "question" else "right")
    for row in rows:
        table.add_row(row.question, str(row.cases), _number(row.value), _number(row.by_chance))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
