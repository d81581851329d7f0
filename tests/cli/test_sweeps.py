"""What a sweep leaves behind. Trainings are stubs here; tests/training/test_ddp.py sweeps over real ones."""

import csv
import json
import math
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from mutoscope.cli import main as cli
from mutoscope.cli.processes import JobFailedError, write_result
from mutoscope.cli.sweeps import (
    SweepStart,
    best_of,
    collect,
    report_sweep,
    run_sweep_job,
    set_launcher_defaults,
    sweep_id,
)
from mutoscope.runtime.interrupts import Interrupted
from mutoscope.runtime.locks import run_lock


@pytest.fixture(autouse=True)
def no_sweep_before() -> Any:
    yield
    SweepStart.end()
    GlobalHydra.instance().clear()


def fake_training(config: Mapping[str, Any], run_dir: Path) -> float | None:
    """Reaches its seed, fails for seed 13 and logs no objective for seed 0."""
    (run_dir / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    if config["seed"] == 13:
        write_result(run_dir, {"error": "seed 13 [brings] bad luck"})
        raise JobFailedError("seed 13 [brings] bad luck")
    objective = float(config["seed"]) or None
    write_result(run_dir, {"objective": objective})
    return objective


def sweep(monkeypatch: pytest.MonkeyPatch, folder: Path, *overrides: str, training: Any = fake_training) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cli, "run_in_fresh_process", training)
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", *overrides])
    try:
        cli.main("train")
    except SystemExit as end:
        return int(str(end.code))
    return 0


def test_a_sweep_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = sweep(monkeypatch, tmp_path, "seed=3,13,1,0", "trainer=cpu", "hydra.sweep.dir=here")
    assert status == 1
    out, err = capsys.readouterr()
    assert "3 of 4 jobs done, 1 failed; best: job 2" in out
    assert "[brings]" in out
    assert "job 1 failed: seed 13 [brings] bad luck" in err
    assert "Traceback" not in err
    rows = list(csv.DictReader((tmp_path / "here" / "sweep.csv").open()))
    assert [r["objective"] for r in rows] == ["3.0", "", "1.0", ""]
    assert [r["best"] for r in rows] == ["False", "False", "True", "False"]
    assert [r["status"] for r in rows] == [
        "done",
        "seed 13 [brings] bad luck",
        "done",
        "done, but the objective was never logged",
    ]
    assert rows[0]["overrides"] == "seed=3 trainer=cpu"
    assert rows[0]["directory"] == str(Path("here") / "0")
    ids = {yaml.safe_load((tmp_path / "here" / str(n) / "config.yaml").read_text())["sweep"] for n in range(4)}
    assert len(ids) == 1
    assert None not in ids
    assert {p.name for p in tmp_path.iterdir()} == {"here"}


def test_a_sweep_over_datasets_and_names_stays_in_one_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep(monkeypatch, tmp_path, "name=a,b", "seed=1", "model=kinetic_gan,recognizer") == 0
    (folder,) = (tmp_path / "multirun").iterdir()
    assert {p.name for p in folder.iterdir()} == {
        "0",
        "1",
        "2",
        "3",
        "multirun.yaml",
        "sweep.csv",
        "sweep.json",
        ".run.lock",
    }
    assert not (tmp_path / "outputs").exists()


def test_a_setting_that_is_missing_in_one_job_fails_that_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep(monkeypatch, tmp_path, "recognizer.max_steps=5,???", "seed=1", "hydra.sweep.dir=here") == 1
    first, second = collect(tmp_path / "here")
    assert (first.objective, first.error) == (1.0, None)
    assert second.error == "recognizer.max_steps must be given: add recognizer.max_steps=<value>."


def test_a_sweep_in_an_old_directory_forgets_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep(monkeypatch, tmp_path, "seed=1,2,13", "hydra.sweep.dir=here") == 1
    GlobalHydra.instance().clear()
    assert sweep(monkeypatch, tmp_path, "seed=4,5", "hydra.sweep.dir=here") == 0
    assert [job.objective for job in collect(tmp_path / "here")] == [4.0, 5.0]


@pytest.mark.parametrize("where", ["hydra.sweep.dir=here", pytest.param("trainer=cpu", marks=pytest.mark.slow)])
def test_a_sweep_that_was_killed_runs_only_the_missing_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    began: list[tuple[int, Any]] = []

    def killed_at_two(config: Mapping[str, Any], run_dir: Path) -> float | None:
        began.append((config["seed"], config["ckpt"]))
        if config["seed"] == 2 and len(began) == 2:
            (run_dir / "checkpoints").mkdir()
            (run_dir / "checkpoints" / "last.ckpt").touch()
            raise Killed
        return fake_training(config, run_dir)

    class Killed(BaseException):
        """Nothing of this program runs after it."""

    with pytest.raises(Killed):
        sweep(monkeypatch, tmp_path, "seed=1,2,3", where, training=killed_at_two)
    SweepStart.end()
    GlobalHydra.instance().clear()
    assert not list(tmp_path.rglob("sweep.csv"))
    assert sweep(monkeypatch, tmp_path, "seed=1,2,3", where, training=killed_at_two) == 0
    # the job that was killed goes on from its checkpoint
    assert began == [(1, None), (2, None), (2, "last"), (3, None)]
    (table,) = tmp_path.rglob("sweep.csv")
    assert [row["objective"] for row in csv.DictReader(table.open())] == ["1.0", "2.0", "3.0"]
    assert "Job 0 is done already" in capsys.readouterr().out
    # it has ended now: in a directory of its own choice the same command is a new sweep
    GlobalHydra.instance().clear()
    monkeypatch.setattr("mutoscope.cli.sweeps.datetime", Later)
    assert sweep(monkeypatch, tmp_path, "seed=1,2,3", where, training=killed_at_two) == 0
    assert len(began) == (4 if where.startswith("hydra") else 7)


class Later(datetime):
    """Some time after every other sweep of the test."""

    @classmethod
    def now(cls, tz: Any = None) -> "Later":
        return cls(2100, 1, 1)


def test_a_sweep_that_was_stopped_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(config: Mapping[str, Any], run_dir: Path) -> float | None:
        if config["seed"] == 2:
            write_result(run_dir, {"interrupted": "Stopped after iteration 4."})
            raise Interrupted("Stopped after iteration 4.")
        return fake_training(config, run_dir)

    assert sweep(monkeypatch, tmp_path, "seed=1,2,3", "hydra.sweep.dir=here", training=stopped) == 130
    out, err = capsys.readouterr()
    assert "Stopped after iteration 4." in err
    assert "1 of 2 jobs done, 1 interrupted; best: job 0" in out
    assert "train.py -m seed=1,2,3 hydra.sweep.dir=here" in out
    assert [job.error for job in collect(tmp_path / "here")] == [None, "interrupted"]
    GlobalHydra.instance().clear()
    assert sweep(monkeypatch, tmp_path, "seed=1,2,3", "hydra.sweep.dir=here") == 0


def test_two_sweeps_do_not_share_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_lock(tmp_path / "here"):
        assert sweep(monkeypatch, tmp_path, "seed=1,2", "hydra.sweep.dir=here") == 1
    assert "works in here; wait for it" in capsys.readouterr().err


def test_torchrun_must_not_start_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    assert sweep(monkeypatch, tmp_path, "seed=1,2") == 1
    assert "run it without torchrun" in capsys.readouterr().err


def test_the_objective_goes_back_to_the_sweeper(tmp_path: Path) -> None:
    def fail(began: bool) -> float | None:
        raise ValueError("no luck")

    assert run_sweep_job(tmp_path / "0", 0, ["seed=1"], lambda began: 2.5) == 2.5
    assert math.isnan(run_sweep_job(tmp_path / "1", 1, ["seed=2"], fail))
    assert math.isnan(run_sweep_job(tmp_path / "2", 2, ["seed=3"], lambda began: None))


def test_jobs_are_collected_from_their_directories(tmp_path: Path) -> None:
    for number, result in ((10, {"objective": math.nan}), (2, {"objective": 0.5}), (1, {"error": "oh"}), (0, None)):
        folder = tmp_path / "nested" / str(number)
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps({"number": number, "overrides": [f"seed={number}"]}))
        if result is not None:
            write_result(folder, result)
    jobs = collect(tmp_path)
    assert [job.number for job in jobs] == [0, 1, 2, 10]
    assert [job.error for job in jobs] == ["ended without a word (killed?)", "oh", None, None]
    best = best_of(jobs)
    assert best is not None
    assert best.number == 2
    assert best_of(jobs[:2]) is None
    assert report_sweep(tmp_path) is False
    assert report_sweep(tmp_path / "nested" / "2") is True


def test_nothing_is_reported_where_no_job_began(tmp_path: Path) -> None:
    assert report_sweep(tmp_path) is True
    assert list(tmp_path.iterdir()) == []


def test_the_id_of_a_sweep_is_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = sweep_id(RunMode.MULTIRUN, "multirun/today")
    assert name is not None
    assert name.startswith("today-")
    assert name == sweep_id(RunMode.MULTIRUN, str(tmp_path / "multirun" / "today"))
    assert name != sweep_id(RunMode.MULTIRUN, "elsewhere/today")
    assert sweep_id(RunMode.RUN, "multirun/today") is None
    assert sweep_id(None, "multirun/today") is None


def test_launchers_do_not_crowd_one_device() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    set_launcher_defaults()
    store = ConfigStore.instance()
    assert store.load("hydra/launcher/joblib.yaml").node.n_jobs == 1
    local = store.load("hydra/launcher/submitit_local.yaml").node
    assert local.gpus_per_node == 1
    assert local.timeout_min > 60


def test_joblib_runs_jobs_in_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    # workers know nothing of the stub, so these jobs are made to fail before they would train
    arguments = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2", "recognizer.max_steps=???"]
    assert sweep(monkeypatch, tmp_path, *arguments, "hydra.sweep.dir=here") == 1
    jobs = collect(tmp_path / "here")
    assert [job.error for job in jobs] == ["recognizer.max_steps must be given: add recognizer.max_steps=<value>."] * 2
