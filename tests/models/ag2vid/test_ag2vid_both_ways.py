"""Evaluating AG2Vid, or its clips as files: one code, one protocol, one number."""

from pathlib import Path

import pytest
from both_ways import PRESETS, Compose, draw_no_pages, look_through_tiny_networks, same_as_files

from mutoscope.cli.typed import typed_values
from mutoscope.verbs.evaluate import evaluate


def test_distances_are_those_of_the_same_clips_as_files(
    compose: Compose, trained_ag2vid: Path, classifier_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_through_tiny_networks(monkeypatch)
    draw_no_pages(monkeypatch)
    checkpoint = trained_ag2vid / "checkpoints" / "last.ckpt"
    words = ["checkpoint=x", "metrics=none", "recognizer=tracks", "recognizer.max_steps=2", "samples_per_class=1"]
    words += ["accelerator=cpu", "clips.foils=4", *PRESETS]
    config = compose(*words, f"out={tmp_path / 'model'}", verb="evaluate") | {"checkpoint": str(checkpoint)}
    explicit = {"metrics": {**typed_values(words, "metrics"), "": "none"}, "recognizer": {"": "tracks"}}
    found = evaluate(config, explicit)
    clips = found.clips.frames  # type: ignore[attr-defined]
    same_as_files(compose, tmp_path, found.task.info.fps, clips, found.sample.fake)  # type: ignore[attr-defined]
