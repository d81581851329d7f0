"""``evaluate`` for video that can be steered: what the model sees and draws, and whether it obeys, beside foils."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mutoscope.data.sampling import clips_of
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.set_measuring import of_sets
from mutoscope.kinds.set_tables import sample_tables
from mutoscope.kinds.tables import Role, Row, Table, metric_column, over_runs
from mutoscope.kinds.task import EvaluationTask
from mutoscope.kinds.video.controllability import video_control
from mutoscope.kinds.video.generation import on_host, steerable
from mutoscope.kinds.video.measure import chunks, named_sample, video_metrics
from mutoscope.kinds.video.obedience import obedience
from mutoscope.kinds.video.results import VideoEvaluation
from mutoscope.metrics.protocol import protocol_of
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.steerable import Decoded, SteerableVideo, Unroll
from mutoscope.runtime.console import say
from mutoscope.structures import VideoBatch, VideoSample

#: clips in the report
_SHOWN = 4


def evaluate_video(task: EvaluationTask) -> VideoEvaluation:
    """Measure a trained model beside foils, all on the same held-out clips."""
    settings, info, datamodule = task.settings, task.info, task.datamodule
    model = steerable(task.model.module).to(task.device)
    metrics = video_metrics(datamodule, settings.metrics, model.local_actions)
    limit = settings.samples_per_class * max(1, info.num_classes)
    clips: VideoBatch = clips_of(datamodule, settings.split, limit=limit, seed=settings.seed)
    sets = of_sets(metrics)
    metrics = {name: metric for name, metric in metrics.items() if name not in sets}
    measured = Measuring(metrics, strict=settings.strict)
    made: dict[str, tuple[str, list[Tensor]]] = {}

    def row(name: str, role: Role, what: str, parts: Sequence[Mapping[str, Any]]) -> Row:
        found = measured.row(name, parts)
        return Row(name, role, what, len(clips), found.values, absent=found.absent, intervals=found.intervals)

    def generated(name: str, role: Role, what: str, model: GenerativeModule, unroll: Unroll) -> Row:
        say(f"Generating {len(clips)} clips: {name} ...")
        able = steerable(model).to(task.device)
        parts = [named_sample(seen_again(able, able.generate(part, unroll=unroll))) for part in chunks(clips)]
        if role == "model" and sets:
            made.setdefault(name, (what, []))[1].append(torch.cat([part["fake_frames"].cpu() for part in parts]))
        return row(name, role, what, parts)

    alone = "Clips drawn from their first frames, with the motion found in the real ones."
    forced = "The same, shown the real foreground at every step."
    rows = [
        generated("untrained", "foil", "The model before its first iteration.", task.untrained(), "autoregressive"),
        over_runs([generated("autoregressive", "model", alone, one.module, "autoregressive") for one in task.models]),
        over_runs([generated("teacher_forced", "model", forced, one.module, "teacher_forced") for one in task.models]),
        *(row(name, "foil", what, parts) for name, what, parts in _told_otherwise(model, clips, settings.seed)),
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
    of_clips, caveats = sample_tables(sets, clips.frames, made, settings, task.device, info.fps)
    tables |= of_clips
    say("Asking for shifts and actions, and looking whether they come back ...")
    tables["control"] = obedience(model, clips, settings.seed)
    protocol: dict[str, Any] = {
        "dataset": info.name,
        "dataset_fingerprint": datamodule.fingerprint,
        "split": settings.split,
        "clips": len(clips),
        "length": clips.length,
        "frame_size": list(info.need_frame_size()),
        "unit": "pixels",
        "frames": "uint8, the first one given and not left out",
        "seed": settings.seed,
        "checkpoint": task.paths,
        "command": settings.command,
    }
    if settings.controllability:
        tables["controllability"], protocol["controllability"] = video_control(task, clips)
    shown = clips.select(range(min(_SHOWN, len(clips))))
    return VideoEvaluation(
        task=task, protocol=protocol, tables=tables, caveats=caveats, shown=_shown(model, shown), clips=shown
    )


def seen_again(model: SteerableVideo, sample: VideoSample) -> VideoSample:
    """With the masks that the model sees in the frames it drew."""
    masks = model.layers(sample.fake.flatten(0, 1)).masks.unflatten(0, sample.fake.shape[:2])
    return replace(sample, drawn_masks=masks)


#: name, what it is, samples
Foil = tuple[str, str, Sequence[Mapping[str, Any]]]


def _told_otherwise(model: SteerableVideo, clips: VideoBatch, seed: int) -> Sequence[Foil]:
    """What the model draws when it is told other things than what it finds in the clips."""
    parts = chunks(clips)
    found = [model.decode(part.frames) for part in parts]
    generator = torch.Generator().manual_seed(seed)
    steps = torch.cat([one.shifts.cpu().flatten(0, 1) for one in found])
    commonest = torch.cat([one.actions.cpu().flatten() for one in found]).mode().values
    order = torch.randperm(len(clips), generator=generator)
    others = torch.cat([one.actions.cpu() for one in found])[order].split([len(part) for part in parts])
    codes = model.local_actions

    def drawn(name: str, what: str, told: Callable[[int, Decoded], tuple[Tensor, Tensor]]) -> Foil:
        say(f"Generating {len(clips)} clips: {name} ...")
        named = []
        for number, (part, one) in enumerate(zip(parts, found, strict=True)):
            actions, shifts = (x.to(model.device) for x in told(number, one))
            sample = seen_again(model, model.play(part, actions, shifts, one.background_shifts))
            # where the agent of the real clip is seen does not depend on what is told
            named.append({**named_sample(replace(sample, real=part.frames)), "masks": None})
        return name, what, named

    return [
        drawn(
            "mean shift",
            "Told the mean shift of all clips and the commonest action at every step.",
            lambda _, one: (
                commonest.expand(one.actions.shape),
                steps.mean(0).expand(one.shifts.shape),
            ),
        ),
        drawn(
            "random actions",
            "Told the right shifts and actions drawn at random.",
            lambda _, one: (torch.randint(codes, one.actions.shape, generator=generator), one.shifts),
        ),
        drawn(
            "another clip's actions",
            "Told the right shifts and the actions found in another clip.",
            lambda number, one: (others[number], one.shifts),
        ),
    ]


def _still(clips: VideoBatch) -> dict[str, Any]:
    n, t = clips.frames.shape[:2]
    zeros = torch.zeros(n, t - 1, 2)
    nobody = torch.zeros(n, t, 1, *clips.frames.shape[-2:])
    return {
        **_true(clips),
        "fake_frames": clips.frames[:, :1].expand_as(clips.frames),
        "masks": nobody,
        "drawn_masks": nobody,
        "actions": torch.zeros(n, t - 1, dtype=torch.long),
        "shifts": zeros,
        "background_shifts": zeros,
    }


def _true(clips: VideoBatch) -> dict[str, Any]:
    masks = None if clips.masks is None else clips.masks / 255
    return {
        "fake_frames": clips.frames,
        "real_frames": clips.frames,
        "masks": masks,
        "drawn_masks": masks,
        "real_masks": clips.masks,
        "actions": clips.actions,
        "real_actions": clips.actions,
        "shifts": clips.shifts,
        "real_shifts": clips.shifts,
        "background_shifts": clips.background_shifts,
        "real_pans": clips.background_shifts,
        "sprites": clips.sprites,
    }


def _shown(model: SteerableVideo, clips: VideoBatch) -> dict[str, VideoSample]:
    """For people: clips drawn again both ways, and what the first frames do when told the next clip's motion."""
    found = model.decode(clips.frames)
    told = [x.roll(1, 0) for x in (found.actions, found.shifts, found.background_shifts)]
    return {
        "drawn from its first frame": on_host(model.generate(clips, unroll="autoregressive")),
        "drawn, shown the real agent": on_host(model.generate(clips, unroll="teacher_forced")),
        "told another clip's motion": on_host(model.play(clips, *told)),
    }
