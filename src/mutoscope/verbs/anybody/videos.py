"""Anybody's videos against real ones: one pass over the files, then all metrics on what was seen."""

from collections.abc import Iterator

import torch

from mutoscope.data.anybody import ClipSet, Cut, Reader
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.sets import Features, extractors_of, looks_at_frames_alone
from mutoscope.kinds.set_measuring import BATCH, Part, SetMeasuring
from mutoscope.kinds.set_tables import class_table, curve_table, foil_table, set_table
from mutoscope.kinds.tables import Table
from mutoscope.runtime.cache import default_cache, fingerprint
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo
from mutoscope.training.trainer import place
from mutoscope.verbs.anybody.results import ClipTask, SetEvaluation, caveats_of


def measure_videos(task: ClipTask) -> SetEvaluation:
    """Measure generated videos against real ones; nothing is written but the features of the real ones, for later.

    Raises:
        ConfigError: for clips that cannot be measured, and metrics that look at more than frames.
    """
    settings, real, fake = task.settings, task.real, task.fake
    cut = Cut(settings.length, settings.stride, settings.size, settings.fps)
    reader = Reader(cut, skip_broken=settings.skip_broken)
    usual = DatasetInfo(name="clips", kind="video", classes=(), fps=1.0, length=settings.length or 1, channels=3)
    metrics = build_metrics(task.metrics, Provided(usual))
    if others := [name for name, metric in metrics.items() if not looks_at_frames_alone(metric)]:
        raise ConfigError(f"metrics.{others[0]} looks at more than frames, which is all that there is of these clips.")
    key = fingerprint({**vars(cut), "rule": 1}, real.files)
    kept = default_cache() / "features"
    known = Features.kept(kept, key, extractors_of(metrics), len(real.clips))
    measured = SetMeasuring(
        metrics,
        place(task.accelerator),
        real=len(real.clips),
        seed=task.seed,
        foils=min(len(fake.clips), len(real.clips) // 2, settings.foils),
        strict=task.strict,
        known=known,
    )
    paired = [clip.name for clip in real.clips] == [clip.name for clip in fake.clips]
    sides = [_parts(reader, clips, side) for side, clips in task.sides]
    what = f"What lies in {fake.root}, against {real.root}."
    row = measured.row("fake", "model", what, *sides, paired=paired)
    if known is None and not reader.broken:
        measured.real.keep(kept, key)
    fps = reader.fps or settings.fps or 1.0
    tables = {"rows": set_table([row], measured, fps)}
    if (foils := foil_table(measured, "fake", fps)) is not None:
        tables["foils"] = foils
    if (classes := _classes(task, measured, fps)) is not None:
        tables["classes"] = classes
    if settings.curve:
        tables["counts"] = curve_table(measured, fps)
    protocol = {
        "real": str(real.root),
        "fake": str(fake.root),
        "clips": dict(measured.counts),
        "left_out": reader.broken,
        "length": measured.shape[0],
        "stride": settings.stride,
        "frame_size": list(measured.shape[2:]),
        "resized": None if settings.size is None else "bilinear, antialiased, rounded to uint8",
        "fps": reader.fps or settings.fps,
        "frames": "uint8, from the first one of every file on",
        "pairs": paired,
        "seed": task.seed,
        "real_content": measured.content,
        "command": task.command,
    }
    return SetEvaluation(
        title=f"{fake.root.name} against {real.root.name}",
        tables=tables,
        protocol=protocol,
        caveats={**measured.notes, **caveats_of(metrics)},
        command=task.command,
    )


def _classes(task: ClipTask, measured: SetMeasuring, fps: float) -> Table | None:
    """The table of classes, where both sides have the same ones."""
    names = task.real.classes
    if not names:
        return None
    if names != task.fake.classes or not (task.real.labelled and task.fake.labelled):
        say(
            f"Nothing is told class by class: {task.real.root} has the classes {', '.join(names)}, {task.fake.root} "
            f"{', '.join(task.fake.classes) or 'none'}; all clips of both sides must be of the same ones."
        )
        return None
    labels = {
        side: torch.tensor([names.index(str(clips.clips[number].label)) for number in measured.numbers[side]])
        for side, clips in task.sides
    }
    return class_table(measured, names, labels, fps)


def _parts(reader: Reader, clips: ClipSet, side: str) -> Iterator[Part]:
    numbers: list[int] = []
    held: list[torch.Tensor] = []
    for number, frames in reader.read(clips, f"Measuring {side} clips"):
        numbers.append(number)
        held.append(frames)
        if len(held) == BATCH:
            yield numbers, torch.stack(held)
            numbers, held = [], []
    if held:
        yield numbers, torch.stack(held)
