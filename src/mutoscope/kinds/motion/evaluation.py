"""``evaluate`` for motion: models beside foils and floors, in one table."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.nodes import build
from mutoscope.evaluators.trained import TrainedRecognizer
from mutoscope.kinds.base import EvaluationTask
from mutoscope.kinds.command import evaluation_command
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.motion.baselines import Candidate, RealClips, foils, real_clips
from mutoscope.kinds.motion.measure import motion_metrics, named_clips
from mutoscope.kinds.motion.report import write_report
from mutoscope.kinds.motion.results import Evaluation
from mutoscope.kinds.tables import Role, Row, Table, for_terminal, metric_column, over_runs, rows_json, write_results
from mutoscope.metrics.protocol import protocol_of
from mutoscope.models.generative import GeneratesMotion, GenerativeModule
from mutoscope.models.seeding import seeded
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.runtime.console import progress_bar, say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.provenance import run_facts
from mutoscope.structures import DatasetInfo, MotionBatch

#: clips that metrics take at a time
_PART = 100


def evaluate_motion(task: EvaluationTask) -> Evaluation:
    """Measure trained models beside an untrained one, foils and real clips.

    All rows are held against the same real clips and count the same number of clips with the same classes, those of
    the held-out clips, because these metrics depend on the count. Rows of models are over all their checkpoints and
    seeds.
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

    with seeded(seed, torch.device("cpu")):
        untrained: GenerativeModule = build(task.trained_config["model"], "model", info=info).eval()
    fakes: dict[str, Tensor] = {}
    candidates = _generated(task, real, "untrained", [(untrained, "The model before its first iteration.")], fakes)
    own = [(one, _origin(one, path)) for one, path in _with_paths([model, *task.others], config["checkpoint"])]
    candidates += _generated(task, real, "trained", own, fakes)
    for name, others in task.beside.items():
        theirs = [(one, _origin(one, path)) for one, path in _with_paths(others, config["beside"][name])]
        candidates += _generated(task, real, name, theirs, fakes)
    candidates += below

    rows, notes = _measured(candidates, metrics, real, info, strict=config["debug"])
    caveats = {name: caveat for name, metric in metrics.items() if (caveat := getattr(metric, "caveat", ""))}
    for name, note in notes.items():
        caveats[name] = f"{caveats[name]} {note}" if name in caveats else note
    protocol = _protocol(task, recognizers, real)
    table = Table(
        f"{protocol['clips_per_row']} clips per row, held against {protocol['reference']}",
        rows,
        [metric_column(name, metric, info.units) for name, metric in metrics.items()],
        {
            name: protocol_of(
                name,
                metric,
                dataset=datamodule.fingerprint,
                info=info,
                n_fake=len(real.held_out),
                n_real=len(real.reference),
                seed=seed,
            )
            for name, metric in metrics.items()
        },
    )
    beside = {name: fakes[name] for name in task.beside}
    evaluation = Evaluation(table, protocol, caveats, fakes["trained"], real.held_out, beside)
    out.mkdir(parents=True, exist_ok=True)
    content = {"rows": rows_json(table), "caveats": caveats, "protocol": protocol}
    written = write_results(out, [table], content)
    say(for_terminal(table))
    for caveat, names in evaluation.by_caveat().items():
        say(f"{', '.join(names)}: {caveat}")
    report = write_report(out, evaluation, model, task.checkpoint, run_facts())
    save_motion_gallery(
        out / "media", evaluation.fake, real.held_out.label, info, real=real.held_out.joints, per_class=2
    )
    say(f"Wrote {', '.join(map(str, written))}, {out / 'media'} and {report}.")
    return evaluation


def _with_paths(models: Sequence[GenerativeModule], paths: Any) -> list[tuple[GenerativeModule, str]]:
    listed = paths if isinstance(paths, list | tuple) else [paths]
    return list(zip(models, map(str, listed), strict=True))


def _origin(model: GenerativeModule, checkpoint: str) -> str:
    return f"{type(model).__name__} after {model.iterations:,} iterations, {checkpoint}."


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
        for seed in task.seeds:
            say(f"Generating {len(real.held_out)} clips: {name}{_which(task, models, model, seed)} ...")
            placed = cast(GeneratesMotion, model.to(task.device))
            sample = placed.generate(real.held_out, seed=seed, truncation=task.config["truncation"])
            fake = sample.fake.cpu()
            fakes.setdefault(name, fake)
            # the model before its training is nobody's answer; it shows what training is worth
            role: Role = "foil" if name == "untrained" else "model"
            made.append(Candidate(name, role, what, MotionBatch(fake, real.held_out.label, always), seed))
    return made


def _which(task: EvaluationTask, models: Sequence[Any], model: GenerativeModule, seed: int) -> str:
    number = [one for one, _ in models].index(model) + 1
    words = [f"checkpoint {number} of {len(models)}"] if len(models) > 1 else []
    words += [f"seed {seed}"] if len(task.seeds) > 1 else []
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
                one.name, one.role, one.what, len(one.clips), found.values, per_class, found.absent, seed=one.seed
            )
            by_name.setdefault(one.name, []).append(row)
    return [over_runs(runs) for runs in by_name.values()], measuring.notes


def _parts(clips: MotionBatch) -> list[dict[str, Any]]:
    pieces = zip(clips.joints.split(_PART), clips.label.split(_PART), clips.mask.split(_PART), strict=True)
    return [{**named_clips(MotionBatch(*piece)), "real": False} for piece in pieces]


def _protocol(task: EvaluationTask, recognizers: Mapping[str, TrainedRecognizer], real: RealClips) -> dict[str, Any]:
    config, info = task.config, task.datamodule.info
    return {
        "dataset": info.name,
        "dataset_fingerprint": task.datamodule.fingerprint,
        "skeleton": info.need_skeleton().name,
        "length": info.length,
        "fps": info.fps,
        "root": info.root,
        "split": config["split"],
        "clips_per_row": len(real.held_out),
        "reference_clips": len(real.reference),
        "reference": "training clips" if real.against == "train" else "held-out clips",
        "apart": real.apart,
        "recognizers": {
            name: {"title": trained.title, "sha256": trained.sha256, "val_accuracy": trained.accuracy}
            for name, trained in recognizers.items()
        },
        "truncation": config["truncation"],
        "seed": config["seed"],
        "seeds": task.seeds,
        "checkpoint": config["checkpoint"],
        "beside": dict(config["beside"] or {}),
        "command": evaluation_command(config, task.explicit),
    }
