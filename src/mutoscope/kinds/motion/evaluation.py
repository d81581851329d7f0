"""``evaluate`` for motion: models beside foils and floors, in one table."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.evaluators.trained import TrainedRecognizer
from mutoscope.kinds.beside import named
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.motion.baselines import Candidate, RealClips, foils, real_clips
from mutoscope.kinds.motion.controllability import motion_control
from mutoscope.kinds.motion.measure import Recognizers, content_of, motion_metrics, named_clips
from mutoscope.kinds.motion.results import MotionEvaluation
from mutoscope.kinds.motion.settings import MotionOptions
from mutoscope.kinds.tables import Role, Row, Table, metric_column, over_runs
from mutoscope.kinds.task import EvaluationTask, LoadedModel, one_or_several
from mutoscope.metrics.protocol import protocol_of
from mutoscope.models.generative import GeneratesMotion, GenerativeModule
from mutoscope.runtime.console import progress_bar, say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo, MotionBatch

#: clips that metrics take at a time
_PART = 100


def evaluate_motion(task: EvaluationTask) -> MotionEvaluation:
    """Measure trained models beside an untrained one, foils and real clips.

    All rows are held against the same real clips and count the same number of clips with the same classes, those of
    the held-out clips, because these metrics depend on the count. Rows of models are over all their checkpoints and
    seeds.
    """
    settings, datamodule, info = task.settings, task.datamodule, task.info
    options: MotionOptions = settings.options
    limit = settings.samples_per_class * info.num_classes
    real = real_clips(datamodule, settings.split, limit, options.reference, settings.seed)
    below = foils(real, settings.seed)
    others = named(options.beside)
    if taken := {"untrained", "trained", *(foil.name for foil in below)} & set(others):
        raise ConfigError(f"beside names a checkpoint '{taken.pop()}', which is a row already; give it another name.")
    beside = task.beside(others)
    known = Recognizers(datamodule, settings.recognizer)
    metrics, recognizers = motion_metrics(settings.metrics, known, real.all_training.joints)

    fakes: dict[str, Tensor] = {}
    candidates = _generated(
        task, real, "untrained", [(task.untrained(), "The model before its first iteration.")], fakes
    )
    for name, models in {"trained": task.models, **beside}.items():
        candidates += _generated(task, real, name, [(one.module, _origin(one)) for one in models], fakes)
    candidates += below

    rows, notes = _measured(candidates, metrics, real, info, strict=settings.strict)
    caveats = {name: caveat for name, metric in metrics.items() if (caveat := getattr(metric, "caveat", ""))}
    for name, note in notes.items():
        caveats[name] = f"{caveats[name]} {note}" if name in caveats else note
    protocol = _protocol(task, recognizers, real, beside)
    content = content_of(real.reference, info.classes)
    table = Table(
        f"{protocol['clips_per_row']} clips per row, held against {protocol['reference']}",
        rows,
        [metric_column(name, metric, info.units) for name, metric in metrics.items()],
        {
            name: protocol_of(
                name,
                metric,
                # presets are measured as anybody's motions are
                dataset=content if getattr(metric, "preset", None) else datamodule.fingerprint,
                info=info,
                n_fake=len(real.held_out),
                n_real=len(real.reference),
                seed=settings.seed,
            )
            for name, metric in metrics.items()
        },
    )
    tables = {"rows": table}
    if settings.controllability:
        tables["controllability"], protocol["controllability"] = motion_control(task, real, known)
    return MotionEvaluation(
        task=task,
        protocol=protocol,
        tables=tables,
        caveats=caveats,
        fake=fakes["trained"],
        real=real.held_out,
        beside={name: fakes[name] for name in beside},
    )


def _origin(model: LoadedModel) -> str:
    return f"{type(model.module).__name__} after {model.module.iterations:,} iterations, {model.path}."


def _generated(
    task: EvaluationTask,
    real: RealClips,
    name: str,
    models: Sequence[tuple[GenerativeModule, str]],
    fakes: dict[str, Tensor],
) -> list[Candidate]:
    """What stands in one row, a candidate per checkpoint and seed; the first is kept in ``fakes``, to be shown."""
    made = []
    always = torch.ones_like(real.held_out.mask)
    for model, what in models:
        for seed in task.settings.seeds:
            say(f"Generating {len(real.held_out)} clips: {name}{_which(task, models, model, seed)} ...")
            placed = cast(GeneratesMotion, model.to(task.device))
            sample = placed.generate(real.held_out, seed=seed, truncation=task.settings.options.truncation)
            fake = sample.fake.cpu()
            fakes.setdefault(name, fake)
            # the model before its training is nobody's answer; it shows what training is worth
            role: Role = "foil" if name == "untrained" else "model"
            made.append(Candidate(name, role, what, MotionBatch(fake, real.held_out.label, always), seed))
    return made


def _which(task: EvaluationTask, models: Sequence[Any], model: GenerativeModule, seed: int) -> str:
    number = [one for one, _ in models].index(model) + 1
    words = [f"checkpoint {number} of {len(models)}"] if len(models) > 1 else []
    words += [f"seed {seed}"] if len(task.settings.seeds) > 1 else []
    return f", {', '.join(words)}" if words else ""


def _measured(
    candidates: Sequence[Candidate], metrics: Mapping[str, Metric], real: RealClips, info: DatasetInfo, *, strict: bool
) -> tuple[list[Row], dict[str, str]]:
    """A row for every name, over its candidates; and what metrics warned of."""
    say(f"Measuring {len(candidates)} times {len(real.held_out)} clips with {', '.join(metrics) or 'no metric'} ...")
    by_name: dict[str, list[Row]] = {}
    parts = -(-len(real.held_out) // _PART)
    with progress_bar() as bar:
        work = bar.add_task("Measuring", total=len(candidates) * len(metrics) * parts)
        measuring = Measuring(metrics, named_clips(real.reference), strict=strict, advance=lambda: bar.advance(work))
        for number, one in enumerate(candidates, start=1):
            bar.update(work, description=f"Measuring {one.name}")
            found = measuring.row(one.name, _parts(one.clips))
            # metrics that left a row early have not counted all of its parts
            bar.update(work, completed=number * len(metrics) * parts)
            per_class = {
                key: {info.classes[k]: value for k, value in enumerate(every) if value == value}
                for key, every in found.per_class.items()
            }
            row = Row(
                name=one.name,
                role=one.role,
                what=one.what,
                count=len(one.clips),
                values=found.values,
                per_class=per_class,
                absent=found.absent,
                seed=one.seed,
                intervals=found.intervals,
            )
            by_name.setdefault(one.name, []).append(row)
    return [over_runs(runs) for runs in by_name.values()], measuring.notes


def _parts(clips: MotionBatch) -> list[dict[str, Any]]:
    pieces = zip(clips.joints.split(_PART), clips.label.split(_PART), clips.mask.split(_PART), strict=True)
    return [{**named_clips(MotionBatch(*piece)), "real": False} for piece in pieces]


def _protocol(
    task: EvaluationTask,
    recognizers: Mapping[str, TrainedRecognizer],
    real: RealClips,
    beside: Mapping[str, Sequence[LoadedModel]],
) -> dict[str, Any]:
    settings, info = task.settings, task.datamodule.info
    return {
        "dataset": info.name,
        "dataset_fingerprint": task.datamodule.fingerprint,
        "skeleton": info.need_skeleton().name,
        "length": info.length,
        "fps": info.fps,
        "root": info.root,
        "split": settings.split,
        "clips_per_row": len(real.held_out),
        "reference_clips": len(real.reference),
        "reference": "training clips" if real.against == "train" else "held-out clips",
        "apart": real.apart,
        "recognizers": {
            name: {"title": trained.title, "sha256": trained.sha256, "val_accuracy": trained.accuracy}
            for name, trained in recognizers.items()
        },
        "truncation": settings.options.truncation,
        "seed": settings.seed,
        "seeds": list(settings.seeds),
        "checkpoint": task.paths,
        "beside": {name: one_or_several([str(one.path) for one in models]) for name, models in beside.items()},
        "command": settings.command,
    }
