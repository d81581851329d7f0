"""GLASS on somebody's own videos, of which nothing is known: it trains, is measured by what there is, and steers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_videos import write_folder

from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def own_run(compose: Compose, small_model: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory after 3 iterations on three videos without labels."""
    run_dir = tmp_path_factory.mktemp("runs") / "own"
    root = write_folder(tmp_path_factory.mktemp("mine") / "videos", videos=3)
    words = ("dataset=video_folder", f"dataset.root={root}", "dataset.size=[48,64]", "dataset.length=5")
    words += ("dataset.batch_size=2", f"dataset.cache_dir={root.parent}", "trainer.max_steps=3")
    train(compose(*small_model, *words, "measure.every_n_steps=3", "callbacks.media.every_n_steps=3"), run_dir)
    return run_dir


def test_it_is_measured_by_what_there_is(compose: Compose, own_run: Path, tmp_path: Path) -> None:
    words = (f"checkpoint={own_run}", f"out={tmp_path}", "samples_per_class=2", "metrics=video")
    evaluate(compose(*words, verb="evaluate"), {})
    rows = {row["name"]: row for row in json.loads((tmp_path / "metrics.json").read_text())["rows"]}
    model = rows["autoregressive"]
    assert model["metrics"]["frame_error"] > 0
    assert model["metrics"]["mask_iou"] is None
    assert "real_masks" in model["absent"]["mask_iou"]
    assert list((own_run / "media").rglob("*.mp4"))


def test_a_clip_is_played_again(compose: Compose, own_run: Path, tmp_path: Path) -> None:
    generate(compose(f"checkpoint={own_run}", "clip=0", f"out={tmp_path}", verb="generate"))
    assert np.load(tmp_path / "clip0.npy").shape == (5, 48, 64, 3)
