"""Numbers through drawn weights: only where somebody asks for them, and called so wherever they stand."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pytest
import torch

from mutoscope.cli.typed import typed_values
from mutoscope.config.presets import with_presets
from mutoscope.evaluators import extractors, smoke
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.smoke import is_smoke
from mutoscope.metrics.common import AbsentMetric
from mutoscope.structures import DatasetInfo
from mutoscope.verbs.anybody.measure import evaluate_sets

INFO = DatasetInfo(name="clips", kind="video", classes=(), fps=8.0, length=9, channels=3)


def test_every_metric_through_drawn_weights_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # drawing is slow, and its result is not looked at here
    monkeypatch.setattr(
        smoke,
        "drawn",
        lambda network, seed=0: {
            key: value.zero_() for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")
        },
    )
    monkeypatch.setattr(extractors, "_extractors", WeakValueDictionary())
    smoke.drawn_weights.cache_clear()
    named = {
        name.partition("/")[2]: name
        for name in (
            "standard/fid",
            "standard/fid_pytorch",
            "standard/kid_all",
            "standard/inception_score",
            "standard/precision",
            "standard/fvd2048_16f",
            "standard/fvd_cdfvd",
            "standard/kvd",
            "standard/lpips_squeeze",
            "paper/glass_fvd",
        )
    }
    nodes = with_presets({"metrics": named})["metrics"]
    asked = {name: {**node, "weights": "smoke"} for name, node in nodes.items()}
    again = {"other": {**nodes["fid"], "weights": "smoke"}, "psnr": {"_target_": "mutoscope.metrics.PSNR"}}
    metrics = build_metrics({**asked, **again}, Provided(INFO))
    smoke.drawn_weights.cache_clear()
    assert set(metrics) == {*(f"smoke/{name}" for name in named.values()), "smoke/standard/fid (other)", "psnr"}
    assert [name for name, metric in metrics.items() if not is_smoke(metric)] == ["psnr"]


def test_nothing_is_drawn_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MUTOSCOPE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    nodes = with_presets(
        {"metrics": {"fid": "standard/fid", "fvd": "standard/fvd_16f", "lpips": "standard/lpips_alex"}}
    )
    metrics = build_metrics(nodes["metrics"], Provided(INFO))
    assert all(isinstance(metric, AbsentMetric) for metric in metrics.values())


def test_drawn_numbers_are_called_so_in_tables_files_and_pages(
    compose: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUTOSCOPE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for side in ("real", "fake"):
        np.save(tmp_path / f"{side}.npy", rng.integers(0, 255, (2, 2, 32, 32, 3), dtype=np.uint8))
    words = [f"real={tmp_path / 'real.npy'}", f"fake={tmp_path / 'fake.npy'}", "clips.foils=0", "metrics=none"]
    words += ["+metrics.fid=standard/fid", f"out={tmp_path / 'out'}", "accelerator=cpu"]
    typed = typed_values(words, "metrics")
    config = compose(*words, verb="evaluate")
    config["metrics"] = with_presets({"metrics": config["metrics"] | {"fid": "standard/fid"}})["metrics"]
    config["metrics"]["fid"]["weights"] = "smoke"
    found = evaluate_sets(config, {"metrics": {"": "none", **typed}})
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    values = written["rows"][0]["metrics"]
    assert values["smoke/standard/fid"] == found.rows[0].values["smoke/standard/fid"] > 0
    assert "fid" not in values
    protocol = written["protocols"][written["rows"][0]["protocols"]["smoke/standard/fid"]]
    assert protocol["extractor"].startswith("smoke-")
    assert protocol["name"] == "smoke/standard/fid"
    with (tmp_path / "out" / "table.csv").open() as file:
        assert {row["metric"] for row in csv.DictReader(file)} == {"smoke/standard/fid", "nearest_real"}
    for name in ("table.md", "table.tex", "report.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "smoke/standard/fid" in text.replace("\\_", "_")
