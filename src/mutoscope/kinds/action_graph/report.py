"""The page that an evaluation of video from action graphs leaves behind."""

from pathlib import Path

from mutoscope.kinds.action_graph.media import save_comparison
from mutoscope.kinds.report_parts import add_origin, add_results
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.tables import Table
from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.runtime.provenance import run_facts
from mutoscope.structures import ActionGraphSample

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


def write_report(out: Path, evaluation: Evaluation, sample: ActionGraphSample) -> Path:
    """``report.html`` and ``media/`` in ``out``: videos, the tables, curves, and how to repeat it.

    Args:
        out: an existing folder.
        evaluation: its tables are among ``layouts``, ``frames``, ``control``, and those of sets of clips.
        sample: what the model made of held-out clips.
    """
    model, protocol = evaluation.task.model.module, evaluation.protocol
    info = model.info
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
    videos = [p for p in save_comparison(out / "media", sample, shown=_SHOWN) if p.suffix == ".mp4"]
    report.add_videos(
        "Generated beside true",
        [(path.stem.replace("_", " "), path) for path in videos],
        note="True clip, the same with its boxes, generated clip, the same with the boxes it was drawn from; below, "
        "what was asked for and when. The first frame is given, everything after it is generated from the graph."
        if sample.drawn
        else "True clip, and the boxes laid out for its graph on its first frame.",
        columns=1,
    )
    _table(
        report,
        "Where are the objects?",
        evaluation.tables.get("layouts"),
        f"Boxes of {protocol['clips']} held-out clips, without the given first frame. Most objects rest, and resting "
        "ones are easy: metrics with 'moving' count only objects that move in the true clip. 'Ground truth' is what a "
        "perfect layout would score. Only the model's own layouts compete for the best value.",
        protocol["command"],
    )
    if sample.drawn:
        _table(
            report,
            "How do the frames look?",
            evaluation.tables.get("frames"),
            "The same clips, each generated frame after frame from the first true one. 'True layout' draws into the "
            "true boxes. 'Copy first frame' moves nothing and sets the mark: most of a picture is still background.",
            protocol["command"],
        )
    else:
        report.add_text("How do the frames look?", "There are none: layouts were trained alone (model.frames=null).")
    _table(
        report,
        "Does it do what is asked, when it is asked?",
        evaluation.tables.get("control"),
        "Graphs made for the question on true first frames; the answer is the share of cases in which it is yes, or a "
        "distance as a fraction of the frame, and by chance is what a model that ignores the clock reaches at most. "
        "Timing: two clips with one action each, asked for in "
        "the first third and after two thirds; counted is whether the acting object starts first where asked to. "
        "Composed actions: whether a classifier of box tracks, which names "
        f"{protocol['track_classifier_val_accuracy']:.1%} of the true edges rightly, recognises all of them. In the "
        "paper people judged both.",
        protocol["command"],
    )
    evaluation.add_further(report, "layouts", "frames", "control")
    add_origin(report, evaluation.task.model.path, _CHARTS, protocol, facts)
    return report.write(out / "report.html")


def _table(report: Report, title: str, table: Table | None, note: str, command: str) -> None:
    if table is None or not table.columns:
        report.add_text(title, "No metric of this kind was configured or could be computed.")
        return
    add_results(report, title, table, note=note, command=command)
