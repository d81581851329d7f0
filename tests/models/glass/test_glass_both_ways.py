"""Evaluating GLASS, or its clips as files: one code, one protocol, one number."""

import re
from pathlib import Path

import pytest
import torch
from both_ways import PRESETS, Compose, draw_no_pages, look_through_tiny_networks, same_as_files
from places import ROOT

import mutoscope as ms
from mutoscope.cli.typed import typed_values
from mutoscope.data.sampling import clips_of
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.video.generation import steerable
from mutoscope.kinds.video.measure import chunks
from mutoscope.verbs.evaluate import evaluate


def test_distances_are_those_of_the_same_clips_as_files(
    compose: Compose, trained_glass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_through_tiny_networks(monkeypatch)
    draw_no_pages(monkeypatch)
    checkpoint = trained_glass / "checkpoints" / "last.ckpt"
    words = ["checkpoint=x", "metrics=none", "samples_per_class=1", "accelerator=cpu", "clips.foils=4"]
    # whether it obeys is asked in test_glass_runs.py
    words += ["controllability=0", *PRESETS]
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


def test_the_documented_example_of_foils_and_the_curve_runs(
    trained_glass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    look_through_tiny_networks(monkeypatch)
    draw_no_pages(monkeypatch)
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    (example,) = [block for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if "foils=" in block]
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    Path("outputs/quickstart_glass").symlink_to(trained_glass)
    given: dict[str, object] = {"ms": ms}
    exec(example, given)
    found = given["found"]
    assert isinstance(found, Evaluation)
    floor, frozen = (
        {row.name: row.values for row in found.tables["foils"].rows}[name]
        for name in ("real (floor)", "frozen first frame")
    )
    assert None not in (floor["fid"], frozen["fid"], floor["kvd"], frozen["kvd"])
    said = capsys.readouterr().out
    assert f"real (floor) {floor['fid']} {floor['kvd']}" in said
    assert f"frozen first frame {frozen['fid']} {frozen['kvd']}" in said
    assert [row.name for row in found.tables["counts"].rows][-1] == "extrapolated"
    assert f"extrapolated {found.tables['counts'].rows[-1].values['kvd']}" in said
