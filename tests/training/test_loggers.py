"""Where numbers, videos and tables go."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from lightning_utilities.core.rank_zero import rank_zero_only
from PIL import Image

from mutoscope.cli.main import register
from mutoscope.config.choices import config_dir
from mutoscope.config.nodes import build
from mutoscope.formats.video import write_mp4
from mutoscope.runtime.errors import ConfigError
from mutoscope.training.loggers import FileLogger, TensorBoardRun, WandbRun, read_metrics


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("csv", {"csv"}),
        ("[csv]", {"csv"}),
        ("wandb", {"wandb"}),
        ("[csv,wandb]", {"csv", "wandb"}),
        ("[tensorboard,wandb]", {"tensorboard", "wandb"}),
        ("[csv,tensorboard,wandb]", {"csv", "tensorboard", "wandb"}),
    ],
)
def test_loggers_compose(choice: str, names: set[str], tmp_path: Path) -> None:
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides=[f"logger={choice}"])
    assert set(cfg.logger) == names
    for name, node in cfg.logger.items():
        if node is not None:
            build(node, f"logger.{name}", run_dir=tmp_path, config={})


def test_numbers_are_kept_in_files(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log_metrics({"loss/critic": 1.0}, step=1)
    logger.log_metrics({"metric/motion_fid": 2.5}, step=2)
    assert read_metrics(tmp_path / "metrics.jsonl") == [
        {"step": 1, "loss/critic": 1.0},
        {"step": 2, "metric/motion_fid": 2.5},
    ]
    logger.finalize("success")
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert rows == [
        {"step": "1", "loss/critic": "1.0", "metric/motion_fid": ""},
        {"step": "2", "loss/critic": "", "metric/motion_fid": "2.5"},
    ]


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": s, "x": s}) + "\n" for s in (1, 2, 3)) + '{"step": 4, "x"')
    FileLogger(tmp_path, resume_at=2).log_metrics({"x": 30}, step=3)
    assert read_metrics(path) == [{"step": 1, "x": 1}, {"step": 2, "x": 2}, {"step": 3, "x": 30}]


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    for logger in (FileLogger(tmp_path), WandbRun(tmp_path, {}), TensorBoardRun(tmp_path)):
        logger.log_metrics({"x": 1.0}, step=1)
        logger.finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_writes_events(tmp_path: Path) -> None:
    logger = TensorBoardRun(tmp_path)
    logger.log_metrics({"loss/critic": 1.0}, step=1)
    logger.finalize("success")
    assert logger.where() == f"TensorBoard: tensorboard --logdir {tmp_path / 'tensorboard'}"
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_a_missing_tensorboard_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{name}", False)
    with pytest.raises(ConfigError, match=r"pip install 'mutoscope\[tensorboard\]'"):
        TensorBoardRun(tmp_path)


def test_a_missing_wandb_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        WandbRun(tmp_path, {})


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'offlin', expected online, offline"):
        WandbRun(tmp_path, {}, mode="offlin")  # type: ignore[arg-type]


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine where nobody has logged in to wandb."""
    import wandb

    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home"))
    # nobody listens there
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


def offline_runs(run_dir: Path) -> list[Path]:
    return sorted((run_dir / "wandb").glob("offline-run-*/run-*.wandb"))


def test_wandb_offline(stranger: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stranger.setenv("WANDB_MODE", "offline")
    config = {"name": "test", "sweep": "sweep-1", "model": {"_target_": "mutoscope.x", "widths": [1, 2]}}
    write_mp4(tmp_path / "walk.mp4", np.zeros((8, 32, 32, 3), np.uint8), fps=8)
    Image.new("RGB", (8, 8)).save(tmp_path / "sheet.png")
    (tmp_path / "run").mkdir()

    logger = WandbRun(tmp_path / "run", config)
    assert logger.version is None
    logger.log_metrics({"loss/critic": 1.0}, step=10)
    logger.log_media([tmp_path / "walk.mp4", tmp_path / "sheet.png"], step=10)
    run = logger.run
    assert (run.group, run.job_type, run.id) == ("sweep-1", "train", logger.version)
    assert dict(run.config) == config
    assert run.summary["iterations"] == 10
    assert run.summary["samples/walk"]["_type"] == "video-file"
    assert run.summary["samples/sheet"]["_type"] == "image-file"
    logger.finalize("success")
    (kept,) = offline_runs(tmp_path / "run")
    assert logger.where() == f"wandb: kept offline in {kept.parent}; wandb sync {kept.parent} uploads it."

    resumed = WandbRun(tmp_path / "run", config)
    resumed.log_metrics({"loss/critic": 0.5}, step=20)
    assert resumed.run.id == run.id
    resumed.finalize("success")


def test_wandb_shows_the_table_of_a_sweep(stranger: pytest.MonkeyPatch, tmp_path: Path) -> None:
    logger = WandbRun(tmp_path, {"name": "sweep"}, mode="offline", job_type="sweep")
    logger.log_table("jobs", ["job", "objective"], [[0, 1.5], [1, None]], {"best_job": 0})
    assert logger.run.job_type == "sweep"
    assert logger.run.summary["best_job"] == 0
    assert logger.run.summary["jobs"]["nrows"] == 2
    logger.finalize("success")


@pytest.mark.parametrize("key", [None, "0" * 40])
def test_wandb_never_asks_nor_waits(
    stranger: pytest.MonkeyPatch, tmp_path: Path, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*args: Any) -> str:
        raise AssertionError("wandb asked the person at the terminal")

    stranger.setattr("builtins.input", ask)
    stranger.setattr("wandb.errors.term.can_use_terminput", lambda: True)
    stranger.setattr("wandb.errors.term.terminput", ask)
    if key is not None:
        stranger.setenv("WANDB_API_KEY", key)
    logger = WandbRun(tmp_path, {"name": "test"}, mode="online", init_timeout=2.0)
    logger.log_metrics({"loss/critic": 1.0}, step=1)
    assert logger.run.id == logger.version
    logger.finalize("success")
    assert len(offline_runs(tmp_path)) == 1
    assert "wandb stays offline, because" in capsys.readouterr().out


def test_a_netrc_entry_is_a_key(stranger: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mutoscope.training.loggers import _has_credentials

    (tmp_path / "netrc").write_text("machine api.example.org login user password " + "0" * 40 + "\n")
    stranger.setenv("NETRC", str(tmp_path / "netrc"))
    assert _has_credentials("https://api.example.org", None)
    assert not _has_credentials("https://api.other.org", None)
    assert _has_credentials("https://api.other.org", "0" * 40)
