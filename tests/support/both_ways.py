"""The clips of a checkpoint as files, to be measured the other way: the numbers must be the same."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_extractors import clips_extractor, frames_extractor
from torch import Tensor

from mutoscope.cli.typed import typed_values
from mutoscope.evaluators import distances
from mutoscope.kinds.action_graph.results import ActionGraphEvaluation
from mutoscope.kinds.video.results import VideoEvaluation
from mutoscope.verbs.anybody.measure import evaluate_sets

Compose = Callable[..., dict[str, Any]]


def look_through_tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, clips = frames_extractor(), clips_extractor(frames=4)
    monkeypatch.setattr(distances, "inception_extractor", lambda **a: frames)
    monkeypatch.setattr(distances, "i3d_extractor", lambda **a: clips)


def draw_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are written, pages and media are not: drawing takes most of the time."""
    for evaluation in (VideoEvaluation, ActionGraphEvaluation):
        monkeypatch.setattr(evaluation, "publish", lambda self, out: [])


def folder(path: Path, clips: Tensor, labels: list[str] | None = None) -> Path:
    for i, clip in enumerate(clips):
        place = path if labels is None else path / labels[i]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{i:03d}.npy", (clip.movedim(1, -1) if clip.ndim == 4 else clip).numpy())
    return path


def alike(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: set[str]) -> None:
    assert {name for name, value in ours["metrics"].items() if value is not None} >= names
    for name in names:
        assert ours["metrics"][name] == pytest.approx(theirs["metrics"][name], rel=1e-5, abs=1e-7), name
        assert ours["protocols"][name] == theirs["protocols"][name], name
    for name, interval in theirs.get("intervals", {}).items():
        assert ours["intervals"][name] == pytest.approx(interval, rel=1e-4, abs=1e-6), name


PRESETS = (
    "+metrics.fid=standard/fid",
    "+metrics.kid=standard/kid_all",
    "+metrics.fvd=standard/fvd2048_16f",
    "+metrics.kvd=standard/kvd",
    "+metrics.psnr=standard/psnr",
    "+metrics.warping_error=standard/warping_error",
)
NAMES = {"fid", "kid", "fvd", "kvd", "psnr", "nearest_real"}


def same_as_files(compose: Compose, tmp_path: Path, fps: float, real: Tensor, fake: Tensor) -> None:
    """``tmp_path / "model"`` holds what the checkpoint was found to be; now the same clips as files."""
    sides = folder(tmp_path / "real", real), folder(tmp_path / "fake", fake)
    words = [f"real={sides[0]}", f"fake={sides[1]}", f"clips.fps={fps}", "clips.foils=4", "metrics=none", *PRESETS]
    config = compose(*words, f"out={tmp_path / 'files'}", "accelerator=cpu", verb="evaluate")
    evaluate_sets(config, {"metrics": {**typed_values(words, "metrics"), "": "none"}})
    of_model, of_files = (json.loads((tmp_path / way / "metrics.json").read_text()) for way in ("model", "files"))
    alike(of_model["sets"][0], of_files["rows"][0], NAMES)
    for ours, theirs in zip(of_model["foils"], of_files["foils"], strict=True):
        if ours["role"] != "model":
            assert ours["name"] == theirs["name"]
        alike(ours, theirs, {name for name in NAMES if theirs["metrics"][name] is not None})
