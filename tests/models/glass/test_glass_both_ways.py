"""Evaluating GLASS, or its clips as files: one code, one protocol, one number."""

from pathlib import Path

import pytest
import torch
from both_ways import PRESETS, Compose, look_through_tiny_networks, same_as_files

import mutoscope as ms
from mutoscope.cli.typed import typed_values
from mutoscope.data.sampling import clips_of
from mutoscope.kinds.video.generation import steerable
from mutoscope.kinds.video.measure import chunks
from mutoscope.verbs.evaluate import evaluate


def test_distances_are_those_of_the_same_clips_as_files(
    compose: Compose, trained_glass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_through_tiny_networks(monkeypatch)
    checkpoint = trained_glass / "checkpoints" / "last.ckpt"
    words = ["checkpoint=x", "metrics=none", "samples_per_class=1", "accelerator=cpu", "clips.foils=4", *PRESETS]
    config = compose(*words, f"out={tmp_path / 'model'}", verb="evaluate") | {"checkpoint": str(checkpoint)}
    found = evaluate(config, {"metrics": {**typed_values(words, "metrics"), "": "none"}})
    task = found.task
    limit = max(1, task.info.num_classes)
    clips = clips_of(task.datamodule, "val", limit=limit, seed=task.settings.seed)
    model = steerable(task.model.module)
    fake = torch.cat([model.generate(part, unroll="autoregressive").fake.cpu() for part in chunks(clips)])
    assert [row.name for row in found.tables["sets"].rows] == ["autoregressive", "teacher_forced"]
    assert "clips.foils=4" in found.protocol["command"]
    same_as_files(compose, tmp_path, task.info.fps, clips.frames, fake)
    # and from Python, with the same words
    named = {word.partition("=")[0].rpartition(".")[2]: word.partition("=")[2] for word in PRESETS}
    few = {"split": "val", "samples_per_class": 1, "controllability": 0, "accelerator": "cpu"}
    again = ms.evaluate(checkpoint, metrics=named, foils=4, curve=True, **few)  # type: ignore[arg-type]
    assert [row.values for row in again.tables["sets"].rows] == [row.values for row in found.tables["sets"].rows]
    assert "counts" in again.tables
    assert "counts" not in found.tables
    assert "foils" not in ms.evaluate(checkpoint, metrics=named, foils=0, **few).tables  # type: ignore[arg-type]
