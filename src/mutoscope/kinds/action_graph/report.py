"""The page that an evaluation of video from action graphs leaves behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchmetrics import Metric

from mutoscope.kinds.action_graph.media import save_comparison
from mutoscope.kinds.base import EvaluationTask
from mutoscope.kinds.report_parts import add_origin, metric_column
from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.render.page.tables import Column
from mutoscope.runtime.provenance import run_facts

if TYPE_CHECKING:
    from mutoscope.kinds.action_graph.results import ActionGraphEvaluation, Row

#: clips shown
_SHOWN = 8
#: charts of a training run: title, the logged numbers, what they are
_CHARTS = (
    Chart(
        "Layout", ("metric/layout_miou", "metric/layout_miou_moving"), "Mean IoU with the true boxes while training."
    ),
    Chart("Frames", ("metric/frame_error_moving",), "Difference to true pixels that change, in grey levels."),
    Chart("Layout loss", ("loss/layout_gcn",), "Smooth L1 between boxes, weighted.", log=True),
    Chart("Frame losses", ("loss/flow", "loss/feature_matching"), "Before their weights.", log=True),
    Chart(
        "Discriminator",
        ("health/real_logits", "health/fake_logits"),
        "Mean logits of true and generated frames; far apart means it tells them easily.",
    ),
)


def write_report(task: EvaluationTask, evaluation: "ActionGraphEvaluation", metrics: Mapping[str, Metric]) -> Path:
    """``report.html`` and ``media/``: videos, the tables, curves, and how to repeat it."""
    model, info, protocol = task.model, task.model.info, evaluation.protocol
    report = Report(
        f"{type(model).__name__} on {info.name}",
        "Videos made from an action graph (which object does what to which other object, and when), a first frame and "
        f"the boxes in it, by a model trained for {model.iterations:,} iterations. Clips are held out.",
    )
    facts = run_facts()
    report.add_facts(
        {
            "Dataset": info.name,
            "Clip": f"{info.length} frames at {info.fps:g} fps",
            "Frame": "x".join(map(str, reversed(info.need_frame_size()))),
            "Iterations": model.iterations,
            "Parameters": sum(p.numel() for p in model.generator.parameters()),
            "Layout": protocol["layout"] or "none",
            "torch": facts["versions"]["torch"],
            "mutoscope": facts["versions"]["mutoscope"],
        }
    )
    videos = [p for p in save_comparison(task.out / "media", evaluation.sample, shown=_SHOWN) if p.suffix == ".mp4"]
    report.add_videos(
        "Generated beside true",
        [(path.stem.replace("_", " "), path) for path in videos],
        note="True clip, the same with its boxes, generated clip, the same with the boxes it was drawn from; below, "
        "what was asked for and when. The first frame is given, everything after it is generated from the graph."
        if evaluation.sample.drawn
        else "True clip, and the boxes laid out for its graph on its first frame.",
        columns=1,
    )
    _table(
        report,
        "Where are the objects?",
        evaluation.layouts,
        metrics,
        "layout",
        f"Boxes of {protocol['clips']} held-out clips, without the given first frame. Most objects rest, and resting "
        "ones are easy: columns with 'moving' count only objects that move in the true clip. The last row is what a "
        "perfect layout would score.",
        task,
    )
    if evaluation.sample.drawn:
        _table(
            report,
            "How do the frames look?",
            evaluation.frames,
            metrics,
            "frames",
            "The same clips, each generated frame after frame from the first true one. 'True layout' draws into the "
            "true boxes. 'Copy first frame' moves nothing and sets the mark: most of a picture is still background.",
            task,
        )
    else:
        report.add_text("How do the frames look?", "There are none: layouts were trained alone (model.frames=null).")
    report.add_table(
        "Does it do what is asked, when it is asked?",
        [
            {"question": r.question, "cases": r.cases, "answer": r.value, "by chance": r.by_chance}
            for r in evaluation.control
        ],
        [
            Column("question", ""),
            Column("cases", digits=0),
            Column(
                "answer", digits=3, explain="share of cases in which it is yes, or distance as a fraction of the frame"
            ),
            Column("by chance", digits=3, explain="what a model that ignores the clock reaches at most"),
        ],
        note="Graphs made for the question on true first frames. Timing: two clips with one action each, asked for in "
        "the first third and after two thirds; counted is whether the acting object starts first where asked to. "
        "Composed actions: whether a classifier of box tracks, which names "
        f"{protocol['track_classifier_val_accuracy']:.1%} of the true edges rightly, recognises all of them. In the "
        "paper people judged both.",
        command=_command(task),
    )
    add_origin(report, task.checkpoint, _CHARTS, protocol, facts)
    return report.write(task.out / "report.html")


def _table(
    report: Report,
    title: str,
    rows: "list[Row]",
    metrics: Mapping[str, Metric],
    what: str,
    note: str,
    task: EvaluationTask,
) -> None:
    if not rows or not rows[0].values:
        report.add_text(title, "No metric of this kind was configured or could be computed.")
        return
    report.add_table(
        title,
        [{what: row.name, **row.values} for row in rows],
        [Column(what, ""), *(metric_column(name, metrics[name]) for name in rows[0].values)],
        note=note,
        command=_command(task),
        reference=[rows[-1].name],
    )


def _command(task: EvaluationTask) -> str:
    split = "" if task.config["split"] == "val" else f" split={task.config['split']}"
    return f"python evaluate.py checkpoint={task.checkpoint}{split} seed={task.config['seed']}"
