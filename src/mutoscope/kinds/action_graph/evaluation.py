"""``evaluate`` for video from action graphs: layouts, frames and control, each beside its floors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor
from torchmetrics import Metric

from mutoscope.data.sampling import clips_of
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.sets import takes
from mutoscope.evaluators.trained import track_classifier_for
from mutoscope.kinds.action_graph.control import (
    ControlRow,
    arrival_rows,
    composed_rows,
    control_over_runs,
    timing_rows,
)
from mutoscope.kinds.action_graph.controllability import graph_control
from mutoscope.kinds.action_graph.measure import CHUNK, chunks, named_layout, named_sample, need_recognizer
from mutoscope.kinds.action_graph.results import ActionGraphEvaluation
from mutoscope.kinds.measuring import Measuring, reason_of
from mutoscope.kinds.set_measuring import of_sets
from mutoscope.kinds.set_tables import sample_tables
from mutoscope.kinds.tables import Role, Row, Table, metric_column, over_runs
from mutoscope.kinds.task import EvaluationTask
from mutoscope.metrics.protocol import Protocol as MetricProtocol
from mutoscope.metrics.protocol import protocol_of, state_hash
from mutoscope.models.generative import GeneratesFromGraphs, GenerativeModule
from mutoscope.render.page.tables import Column
from mutoscope.runtime.console import say
from mutoscope.structures import ActionGraphBatch, ActionGraphSample, DatasetInfo

#: what layouts are called in tables (Table 4)
LAYOUTS = {
    "gcn": "GCN",
    "rnn": "RNN",
    "rule": "rule",
    "copy": "copy first frame",
    "random": "random",
    "ground_truth": "ground truth",
}
#: which of them are given what a model has to find, or find nothing
LAYOUT_ROLES: Mapping[str, Role] = {"rule": "foil", "copy": "foil", "random": "foil", "ground_truth": "oracle"}
LAYOUT_WHAT: Mapping[Role, str] = {
    "model": "A trained network lays out the boxes.",
    "foil": "A rule that learns nothing lays out the boxes.",
    "oracle": "The true boxes.",
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
    settings, datamodule, info = task.settings, task.datamodule, task.info
    model = task.model.module
    classifier = track_classifier_for(datamodule, need_recognizer(settings.recognizer))
    metrics = build_metrics(settings.metrics, Provided(info, {"track_classifier": lambda: classifier.network}))
    sets = of_sets(metrics)
    of_layouts = {n: m for n, m in metrics.items() if not takes(m, "fake_frames")}
    of_frames = {n: m for n, m in metrics.items() if n not in of_layouts and n not in sets}
    limit = settings.samples_per_class * info.num_classes
    clips: ActionGraphBatch = clips_of(datamodule, settings.split, limit=limit, seed=settings.seed)

    runs = [(one.module, seed) for one in task.models for seed in settings.seeds]
    strict = settings.strict
    say(f"Laying out {len(clips)} clips in every way there is ...")
    layouts = _layout_rows(runs, clips, of_layouts, strict=strict) if isinstance(model, LaysOut) else []

    samples = []
    for number, (one, seed) in enumerate(runs, start=1):
        which = f", run {number} of {len(runs)}" if len(runs) > 1 else ""
        say(f"Generating {len(clips)} clips: trained{which} ...")
        samples.append(_generate(one.to(task.device), clips, None, seed))
    sample = samples[0]
    if sample.drawn:
        rows = _frame_rows(task, runs, clips, samples, of_frames)
        assert clips.frames is not None
        made = {"trained": ("The model.", [one.fake for one in samples])}
        of_clips, caveats = sample_tables(sets, clips.frames, made, settings, task.device, info.fps)
    else:
        lost = ", ".join([*of_frames, *sets])
        rows, left_out = [], f" {lost} are left out, and" if lost else ""
        of_clips, caveats = {}, {}
        say(f"The model lays out boxes and draws no frames:{left_out} pictures show boxes on the first frame.")

    say("Asking for single actions early and late, and for composed actions ...")
    asked = [
        _control(one, seed, clips, made, info, classifier.network, strict=strict)
        for (one, seed), made in zip(runs, samples, strict=True)
    ]
    control = control_over_runs(asked)
    protocol = {
        "dataset": info.name,
        "dataset_fingerprint": datamodule.fingerprint,
        "split": settings.split,
        "clips": len(clips),
        "length": info.length,
        "fps": info.fps,
        "frame_size": list(info.need_frame_size()),
        "frames": "uint8, autoregressive from the first true one" if sample.drawn else None,
        "layout": model.layouts[0] if isinstance(model, LaysOut) else None,
        "track_classifier_sha256": classifier.sha256,
        "track_classifier_val_accuracy": classifier.accuracy,
        "timing_pairs_per_action": TIMING_PAIRS,
        "seed": settings.seed,
        "seeds": list(settings.seeds),
        "checkpoint": task.paths,
        "command": settings.command,
    }
    judge = state_hash(classifier.network.state_dict())
    tables = {**_tables(task, layouts, rows, control, metrics, len(clips), judge), **of_clips}
    if settings.controllability:
        tables["controllability"], protocol["controllability"] = graph_control(
            task, classifier, clips, lambda one, asked, seed: _generate(one, asked, None, seed)
        )
    return ActionGraphEvaluation(
        task=task, protocol=protocol, tables=tables, caveats=caveats, control=control, sample=sample, clips=clips
    )


def _tables(
    task: EvaluationTask,
    layouts: list[Row],
    frames: list[Row],
    control: list[ControlRow],
    metrics: Mapping[str, Metric],
    clips: int,
    judge: str,
) -> dict[str, Table]:
    """Those that have rows, by their names in ``metrics.json``; ``judge``: hash of the classifier of tracks."""
    tables = {}
    for key, rows in (("layouts", layouts), ("frames", frames)):
        if rows:
            protocols = {
                name: protocol_of(
                    name,
                    metrics[name],
                    dataset=task.datamodule.fingerprint,
                    info=task.info,
                    n_fake=clips,
                    n_real=clips,
                    seed=task.settings.seed,
                )
                for name in rows[0].values
            }
            columns = [metric_column(name, metrics[name]) for name in rows[0].values]
            tables[key] = Table(f"{key.capitalize()}, {clips} held-out clips", rows, columns, protocols)
    if control:
        answer = {row.question: row.value for row in control}
        deviations = {row.question: row.deviation for row in control}
        absent = {row.question: row.absent for row in control if row.absent}
        chance = {row.question: row.by_chance for row in control}
        tables["control"] = Table(
            "Control",
            [
                Row("answer", "model", "Of the trained model.", clips, answer, absent=absent, deviations=deviations),
                Row("by chance", "foil", "Of a model that ignores the question.", clips, chance),
            ],
            [
                Column(row.question, f"{row.question} ({row.cases} case{'s' * (row.cases != 1)})", digits=3)
                for row in control
            ],
            {
                row.question: MetricProtocol(
                    name=row.question,
                    n_real=0,
                    n_fake=row.cases,
                    ddof=None,
                    extractor=judge,
                    dataset=task.datamodule.fingerprint,
                    length=task.info.length,
                    fps=task.info.fps,
                    seed=task.settings.seed,
                )
                for row in control
            },
            counted=False,
        )
    return tables


def _layout_rows(
    runs: Sequence[tuple[GenerativeModule, int]],
    clips: ActionGraphBatch,
    metrics: Mapping[str, Metric],
    *,
    strict: bool,
) -> list[Row]:
    """The model's own layouts over all runs, and what they are held against once."""
    rows, measured = [], Measuring(metrics, strict=strict)
    model, _ = runs[0]
    assert isinstance(model, LaysOut)
    for name in model.layouts:
        title, role = LAYOUTS.get(name, name), LAYOUT_ROLES.get(name, "model")
        found = []
        for one, seed in runs if role == "model" else runs[:1]:
            assert isinstance(one, LaysOut)
            named = [named_layout(part, one.lay_out(part, name, seed=seed).cpu()) for part in chunks(clips)]
            values, _, absent, intervals = measured.row(title, named)
            row = Row(title, role, LAYOUT_WHAT[role], len(clips), values, absent=absent, seed=seed, intervals=intervals)
            found.append(row)
        rows.append(over_runs(found))
    return rows


def _frame_rows(
    task: EvaluationTask,
    runs: Sequence[tuple[GenerativeModule, int]],
    clips: ActionGraphBatch,
    samples: Sequence[ActionGraphSample],
    metrics: Mapping[str, Metric],
) -> list[Row]:
    """What was generated beside other ways to make frames: without training, into true boxes, and not at all."""
    seed = task.settings.seed
    assert clips.frames is not None
    still, truth = clips.frames[:, :1].expand_as(clips.frames), clips.frames
    given = {"real_frames": truth, **named_layout(clips, clips.boxes)}
    measured = Measuring(metrics, strict=task.settings.strict)

    def row(name: str, role: Role, what: str, named: Mapping[str, Any]) -> Row:
        found = measured.row(name, [named])
        return Row(name, role, what, len(clips), found.values, absent=found.absent, intervals=found.intervals)

    def generated(name: str, role: Role, what: str, candidate: GenerativeModule, layout: str | None, seed: int) -> Row:
        say(f"Generating {len(clips)} clips: {name} ...")
        return row(name, role, what, named_sample(_generate(candidate.to(task.device), clips, layout, seed)))

    into_true = "Frames drawn into the true boxes."
    return [
        generated("untrained", "foil", "The model before its first iteration.", task.untrained(), None, seed),
        over_runs([row("trained", "model", "The model.", named_sample(sample)) for sample in samples]),
        over_runs(
            [
                generated("trained, true layout", "oracle", into_true, one, "ground_truth", own_seed)
                for one, own_seed in runs
            ]
        ),
        row("copy first frame", "foil", "Nothing moves.", {"fake_frames": still, **given}),
        row("real (floor)", "floor", "The true frames.", {"fake_frames": truth, **given}),
    ]


def _control(
    model: GenerativeModule,
    seed: int,
    clips: ActionGraphBatch,
    sample: ActionGraphSample,
    info: DatasetInfo,
    classifier: Any,
    *,
    strict: bool,
) -> list[ControlRow]:
    """All questions to one run; those that fail have their reason in place of an answer."""

    def generate(asked: ActionGraphBatch) -> ActionGraphSample:
        return _generate(model, asked, None, seed)

    rows: list[ControlRow] = []
    for questions, answered in (
        ("timing", timing_rows(clips, generate, info, TIMING_PAIRS)),
        ("composed actions", composed_rows(clips, generate, info, classifier, seed)),
        ("arrival", arrival_rows(clips, sample, info)),
    ):
        try:
            rows.extend(answered)
        except Exception as error:
            if strict and not isinstance(error, ValueError):
                raise
            say(f"Questions of {questions} are left out: {reason_of(error)}")
            rows.append(ControlRow(f"{questions}: other questions", 0, None, absent=reason_of(error)))
    return rows


def _generate(model: GenerativeModule, clips: ActionGraphBatch, layout: str | None, seed: int) -> ActionGraphSample:
    asked = cast(GeneratesFromGraphs, model)
    sample = asked.generate(clips, seed=seed, layout=layout, batch_size=CHUNK)
    return replace(sample, fake=sample.fake.cpu(), boxes=sample.boxes.cpu(), asked=clips, real=clips.frames)
