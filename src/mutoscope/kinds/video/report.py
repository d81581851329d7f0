"""The page that an evaluation of video that can be steered leaves behind."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mutoscope.formats.video import write_mp4
from mutoscope.kinds.report_parts import add_origin, add_results
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.video.figures import action_gallery, composed, layers, overview, save_figures, shift_grid
from mutoscope.kinds.video.generation import steerable
from mutoscope.render.canvas import grid
from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.render.people import for_people, frames_of
from mutoscope.render.steps import under_steps
from mutoscope.runtime.provenance import run_facts
from mutoscope.structures import VideoBatch, VideoSample

#: steps in figures
_STEPS = 7
#: charts of a training run: title, the logged numbers, what they are
_CHARTS = (
    Chart("Mask", ("metric/mask_iou",), "Overlap with the true masks while training."),
    Chart("Shifts", ("metric/shift_error", "metric/background_shift_error"), "Distance to the true ones in pixels."),
    Chart("Actions", ("metric/nmi", "metric/nmi_by_chance"), "What the model's actions tell of the true ones."),
    Chart("Losses", ("loss/global_motion", "loss/local_motion"), "Weighted sums of both halves.", log=True),
    Chart("In use", ("health/actions_used",), "Local actions in use, from 1 to K."),
)


def write_report(out: Path, evaluation: Evaluation, shown: Mapping[str, VideoSample], clips: VideoBatch) -> Path:
    """``report.html`` and ``media/`` in ``out``: videos with their steps, figures, tables, curves, how to repeat it.

    Args:
        out: an existing folder.
        evaluation: its tables are ``rows`` and ``control``, and those of sets of clips where presets ask for them.
        shown: what the model made of ``clips``, by what it was given.
        clips: real ones.
    """
    model, protocol = steerable(evaluation.task.model.module), evaluation.protocol
    info, facts = model.info, run_facts()
    report = Report(
        f"{type(model).__name__} on {info.name}",
        "Video that is steered: from a picture, an agent moves by the shift and the local action that it is told, step "
        f"by step. The model was trained for {model.iterations:,} iterations, without labels. Clips are held out.",
    )
    report.add_facts(
        {
            "Dataset": info.name,
            "Clip": f"{clips.length} frames at {info.fps:g} fps",
            "Frame": "x".join(map(str, reversed(info.need_frame_size()))),
            "Local actions": model.local_actions,
            "Iterations": model.iterations,
            "Parameters": sum(p.numel() for p in model.generator.parameters()),
            "torch": facts["versions"]["torch"],
            "mutoscope": facts["versions"]["mutoscope"],
        }
    )
    media = out / "media"
    media.mkdir(parents=True, exist_ok=True)
    report.add_videos(
        "Real, drawn again, steered",
        [(clips.names[number], _clip(media, number, shown, clips)) for number in range(len(clips))],
        note="Below each clip are its steps: the local action, numbered and coloured, and an arrow for the shift. "
        "Those below the real clip were found in it, and carried out in the two beside it; the last one was told the "
        "motion of another clip.",
        columns=1,
    )
    _figures(report, media, evaluation, clips)
    rows = evaluation.tables["rows"]
    note = " ".join(f"{row.name}: {row.what}" for row in rows.rows)
    add_results(report, "What it sees and draws", rows, note=note, command=protocol["command"])
    add_results(
        report,
        "Does it obey?",
        evaluation.tables["control"],
        note="Asked are the shifts and actions of other clips; the answer is the share of steps in which what was "
        "asked is found again in what was drawn.",
        command=protocol["command"],
    )
    evaluation.add_further(report, "rows", "control")
    add_origin(report, evaluation.task.model.path, _CHARTS, protocol, facts)
    return report.write(out / "report.html")


def _clip(media: Path, number: int, shown: Mapping[str, VideoSample], clips: VideoBatch) -> Path:
    first = next(iter(shown.values()))
    steps = {"real": first, **shown}
    videos = {"real": clips.frames[number], **{name: sample.fake[number] for name, sample in shown.items()}}
    cells = [
        under_steps(
            for_people(frames_of(video)), steps[name].shifts[number].numpy(), steps[name].actions[number].numpy()
        )
        for name, video in videos.items()
    ]
    # two rows: what is one row wide is shown too small to read
    page = np.ascontiguousarray(grid(cells, list(videos), columns=2))
    return write_mp4(media / f"clip{number}.mp4", page, first.info.fps)


def _figures(report: Report, media: Path, evaluation: Evaluation, clips: VideoBatch) -> None:
    model = steerable(evaluation.task.model.module)
    seen = overview(model, clips)
    jumps, _ = composed(model, clips)
    save_figures(media, jumps, model.info.fps)
    notes = {
        "layers": ("A picture taken apart", "Picture, mask, agent, and what the model paints behind it."),
        "shifts": (
            "Where shifts take the agent",
            "Green: where it stands; red: where it is drawn after a step; one column a shift, one row a clip.",
        ),
        "actions": (
            "The local actions",
            "Each again and again, without a shift, from the first clip; time goes to the right.",
        ),
        "overview": ("All that the model makes of a clip", "Time goes to the right; what is drawn begins at frame 1."),
    }
    figures = {
        "layers": layers(model, clips),
        "shifts": shift_grid(model, clips, _STEPS),
        "actions": action_gallery(model, clips, _STEPS),
        **({} if seen is None else {"overview": seen}),
    }
    save_figures(media, figures, model.info.fps)
    for name in figures:
        title, note = notes[name]
        report.add_image(title, media / f"{name}.png", note=note, alt=title)
    report.add_videos(
        "Told what nobody showed it",
        [("A jump", media / "jump.mp4"), ("A round, with another local action on every side", media / "round.mp4")],
        columns=1,
    )
