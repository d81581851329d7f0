"""``evaluate`` for video that can be steered: what the model sees and draws, and whether it obeys, beside foils."""

from collections.abc import Mapping
from typing import Any

import torch

from mutoscope.data.sampling import clips_of
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.tables import Role, Row, Table, metric_column, over_runs
from mutoscope.kinds.task import EvaluationTask
from mutoscope.kinds.video.generation import steerable
from mutoscope.kinds.video.measure import chunks, named_sample, video_metrics
from mutoscope.metrics.protocol import protocol_of
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.steerable import SteerableVideo, Unroll
from mutoscope.render.page.tables import Column
from mutoscope.runtime.console import say
from mutoscope.structures import VideoBatch

#: cosine of 45 degrees
_NEAR = 0.5**0.5


def evaluate_video(task: EvaluationTask) -> Evaluation:
    """Measure a trained model beside foils, all on the same held-out clips."""
    settings, info, datamodule = task.settings, task.info, task.datamodule
    metrics = video_metrics(datamodule, settings.metrics)
    limit = settings.samples_per_class * max(1, info.num_classes)
    clips: VideoBatch = clips_of(datamodule, settings.split, limit=limit, seed=settings.seed)
    measured = Measuring(metrics, strict=settings.strict)

    def row(name: str, role: Role, what: str, parts: list[Mapping[str, Any]]) -> Row:
        found = measured.row(name, parts)
        return Row(name, role, what, len(clips), found.values, absent=found.absent)

    def generated(name: str, role: Role, what: str, model: GenerativeModule, unroll: Unroll) -> Row:
        say(f"Generating {len(clips)} clips: {name} ...")
        able = steerable(model).to(task.device)
        return row(name, role, what, [named_sample(able.generate(part, unroll=unroll)) for part in chunks(clips)])

    alone = "Clips drawn from their first frames, with the motion found in the real ones."
    forced = "The same, shown the real foreground at every step."
    rows = [
        generated("untrained", "foil", "The model before its first iteration.", task.untrained(), "autoregressive"),
        over_runs([generated("autoregressive", "model", alone, one.module, "autoregressive") for one in task.models]),
        over_runs([generated("teacher_forced", "model", forced, one.module, "teacher_forced") for one in task.models]),
        row("copy first frame", "foil", "Nothing moves, and nobody is seen.", [_still(part) for part in chunks(clips)]),
        row("real (floor)", "floor", "The true frames, and what is known of them.", [_true(p) for p in chunks(clips)]),
    ]
    numbers = {
        name: protocol_of(
            name,
            metrics[name],
            dataset=datamodule.fingerprint,
            info=info,
            n_fake=len(clips),
            n_real=len(clips),
            seed=settings.seed,
        )
        for name in metrics
    }
    columns = [metric_column(name, metric, "px") for name, metric in metrics.items()]
    tables = {"rows": Table(f"{len(clips)} held-out clips", rows, columns, numbers)}
    model = steerable(task.model.module)
    say("Asking for shifts and actions, and looking whether they come back ...")
    tables["control"] = _obedience(model.to(task.device), clips, settings.seed)
    protocol = {
        "dataset": info.name,
        "dataset_fingerprint": datamodule.fingerprint,
        "split": settings.split,
        "clips": len(clips),
        "length": info.length,
        "frame_size": list(info.need_frame_size()),
        "unit": "pixels",
        "frames": "uint8, the first one given and not left out",
        "seed": settings.seed,
        "checkpoint": task.paths,
        "command": settings.command,
    }
    return Evaluation(task=task, protocol=protocol, tables=tables)


def _still(clips: VideoBatch) -> dict[str, Any]:
    n, t = clips.frames.shape[:2]
    zeros = torch.zeros(n, t - 1, 2)
    return {
        **_true(clips),
        "fake_frames": clips.frames[:, :1].expand_as(clips.frames),
        "masks": torch.zeros(n, t, 1, *clips.frames.shape[-2:]),
        "actions": torch.zeros(n, t - 1, dtype=torch.long),
        "shifts": zeros,
        "background_shifts": zeros,
    }


def _true(clips: VideoBatch) -> dict[str, Any]:
    return {
        "fake_frames": clips.frames,
        "real_frames": clips.frames,
        "masks": None if clips.masks is None else clips.masks / 255,
        "real_masks": clips.masks,
        "actions": clips.actions,
        "real_actions": clips.actions,
        "shifts": clips.shifts,
        "real_shifts": clips.shifts,
        "background_shifts": clips.background_shifts,
        "real_pans": clips.background_shifts,
        "sprites": clips.sprites,
    }


@torch.inference_mode()
def _obedience(model: SteerableVideo, clips: VideoBatch, seed: int) -> Table:
    """Share of steps in which what was asked comes back when the generated clip is decoded again.

    Asked are the shifts and actions of other clips, as the model decodes them: what it can be expected to do.
    """
    codes = model.local_actions
    right = torch.zeros(codes)
    asked_of = torch.zeros(codes)
    by_chance = torch.zeros(codes)
    turned, steps = 0.0, 0
    generator = torch.Generator().manual_seed(seed)
    for part in chunks(clips):
        motion = model.decode(part.frames)
        order = torch.randperm(len(part), generator=generator).to(motion.actions.device)
        sample = model.play(part, motion.actions[order], motion.shifts[order], motion.background_shifts[order])
        again = model.decode(sample.fake)
        asked, found = motion.actions[order].cpu().flatten(), again.actions.cpu().flatten()
        asked_of += torch.bincount(asked, minlength=codes)
        right += torch.bincount(asked[asked == found], minlength=codes)
        by_chance += torch.bincount(found, minlength=codes)
        wanted, got = motion.shifts[order].cpu().flatten(0, 1), again.shifts.cpu().flatten(0, 1)
        moves = wanted.norm(dim=-1) > 1
        cosine = torch.cosine_similarity(wanted[moves], got[moves], dim=-1)
        turned, steps = turned + float((cosine > _NEAR).sum()), steps + int(moves.sum())
    shares = by_chance / by_chance.sum().clamp(min=1)
    questions = {"shift within 45 degrees": (turned / steps if steps else None, 0.25)}
    for code in range(codes):
        value = float(right[code] / asked_of[code]) if asked_of[code] else None
        questions[f"action {code}"] = (value, float(shares[code]))
    answers = {name: value for name, (value, _) in questions.items()}
    absent = {name: "this was never asked." for name, value in answers.items() if value is None}
    rows = [
        Row("comes back", "model", "Asked of the trained model.", len(clips), answers, absent=absent),
        Row("by chance", "foil", "Of steps at random.", len(clips), {n: c for n, (_, c) in questions.items()}),
    ]
    columns = [Column(name, better="higher", digits=3) for name in questions]
    return Table("Does it obey?", rows, columns)
