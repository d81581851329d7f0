"""Jobs in processes of their own. The training itself is a stub here; tests/training/test_ddp.py runs real ones."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import patience
from places import ROOT

from mutoscope.cli.processes import (
    JOB,
    RESULT,
    JobFailedError,
    Launch,
    launched_externally,
    needs_own_processes,
    read_result,
    run_in_fresh_process,
    write_result,
)
from mutoscope.runtime.errors import ConfigError

STUB = """
import os, subprocess, sys, time, types
from pathlib import Path

def train(config, run_dir):
    rank = int(os.environ.get("LOCAL_RANK", 0))
    (run_dir / f"pid{rank}").write_text(str(os.getpid()))
    (run_dir / f"environment{rank}").write_text("\\n".join(os.environ))
    if rank == 0 and config["partner"]:
        # what Lightning does for every further rank
        command = [sys.executable, "-m", "mutoscope.cli.job", *sys.argv[1:]]
        subprocess.Popen(command, env={**os.environ, "LOCAL_RANK": "1"})
        while not (run_dir / "pid1").exists():
            time.sleep(0.02)
    if config["do"] == "raise":
        raise ValueError("the loss\\n  is not a number")
    if config["do"] == "die":
        os.kill(os.getpid(), 9)
    if rank == 1 or config["do"] == "hang":
        time.sleep(60 * float(os.environ.get("MUTOSCOPE_TEST_PATIENCE", 1)))
    return config["objective"]

module = types.ModuleType("mutoscope.verbs.train")
module.train = train
sys.modules["mutoscope.verbs.train"] = module
"""

Stub = Callable[..., dict[str, Any]]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Makes configs for a training that does as told."""
    folder = tmp_path / "stub"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(STUB)
    source = ROOT / "src"
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{source}")

    def config(do: str = "return", objective: float | None = 1.5, partner: bool = False) -> dict[str, Any]:
        return {"do": do, "objective": objective, "partner": partner}

    return config


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # where nobody collects orphans, a dead one stays in the list as a zombie
    stat = Path(f"/proc/{pid}/stat")
    return not stat.is_file() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def pids(run_dir: Path, count: int) -> list[int]:
    """Process ids of the ranks, as soon as all of them have started."""
    deadline = time.monotonic() + patience(30)
    while time.monotonic() < deadline:
        files = sorted(run_dir.glob("pid*"))
        if len(files) == count and all(f.read_text() for f in files):
            return [int(f.read_text()) for f in files]
        time.sleep(0.05)
    raise AssertionError(f"{count} ranks were expected in {run_dir}")


def gone(ids: list[int]) -> bool:
    deadline = time.monotonic() + patience(10)
    while time.monotonic() < deadline:
        if not any(alive(i) for i in ids):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("objective", [1.5, None])
def test_the_objective_comes_back(stub: Stub, tmp_path: Path, objective: float | None) -> None:
    assert run_in_fresh_process(stub(objective=objective), tmp_path / "run") == objective
    assert json.loads((tmp_path / "run" / RESULT).read_text()) == {"objective": objective}
    assert not (tmp_path / "run" / JOB).exists()


def test_nothing_of_a_launcher_is_inherited(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # LOCAL_RANK=1 would make the job a second rank, the others would make Lightning wait for processes of theirs
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_PORT", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SOME_SETTING", "1")
    assert run_in_fresh_process(stub(), tmp_path / "run") == 1.5
    inherited = (tmp_path / "run" / "environment0").read_text().split("\n")
    assert "SOME_SETTING" in inherited
    assert not [n for n in inherited if n.startswith(("SLURM_", "TORCHELASTIC_")) or n in ("RANK", "WORLD_SIZE")]


def test_an_error_comes_back_as_its_sentence(stub: Stub, tmp_path: Path) -> None:
    with pytest.raises(JobFailedError, match=r"^the loss is not a number$"):
        run_in_fresh_process(stub("raise"), tmp_path / "run")
    assert read_result(tmp_path / "run") == {"error": "the loss is not a number"}


def test_an_earlier_result_is_not_taken_for_this_one(stub: Stub, tmp_path: Path) -> None:
    write_result(tmp_path, {"objective": 3.0})
    with pytest.raises(JobFailedError, match="killed by SIGKILL"):
        run_in_fresh_process(stub("die"), tmp_path)


def test_the_first_error_of_several_ranks_stays(tmp_path: Path) -> None:
    write_result(tmp_path, {"error": "rank 1 ran out of memory"})
    write_result(tmp_path, {"error": "connection closed by peer"})
    assert read_result(tmp_path) == {"error": "rank 1 ran out of memory"}


@pytest.mark.ddp
@pytest.mark.parametrize("do", ["return", "raise", "die"])
def test_no_rank_outlives_the_first(stub: Stub, tmp_path: Path, do: str) -> None:
    try:
        run_in_fresh_process(stub(do, partner=True), tmp_path)
    except JobFailedError:
        assert do != "return"
    assert gone(pids(tmp_path, 2))


@pytest.mark.ddp
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_rank_outlives_the_parent(stub: Stub, tmp_path: Path, blow: signal.Signals) -> None:
    script = (
        "import sys, json, signal; from pathlib import Path; from mutoscope.cli.processes import run_in_fresh_process;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "run_in_fresh_process(json.loads(sys.argv[1]), Path(sys.argv[2]))"
    )
    config = json.dumps(stub("hang", partner=True))
    parent = subprocess.Popen([sys.executable, "-c", script, config, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        ranks = pids(tmp_path, 2)
        assert all(alive(rank) for rank in ranks)
        parent.send_signal(blow)
        parent.wait(patience(30))
        assert gone(ranks)
    finally:
        parent.kill()


def launch(devices: float = 1, num_nodes: int = 1) -> Launch:
    trainer = {"devices": devices, "num_nodes": num_nodes, "accelerator": "cpu"}
    return Launch.of({"trainer": trainer, "overwrite": False})


@pytest.fixture
def unlaunched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_JOB_NAME", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_who_starts_the_processes(unlaunched: pytest.MonkeyPatch) -> None:
    assert not launched_externally()
    assert not needs_own_processes(launch())
    assert needs_own_processes(launch(devices=2))
    assert needs_own_processes(launch(devices=2e0))
    with pytest.raises(ConfigError, match=r"num_nodes is 2.*started alone.*torchrun"):
        needs_own_processes(launch(num_nodes=2))


def test_torchrun_started_them(unlaunched: pytest.MonkeyPatch) -> None:
    unlaunched.setenv("TORCHELASTIC_RUN_ID", "none")
    unlaunched.setenv("WORLD_SIZE", "4")
    assert launched_externally()
    assert not needs_own_processes(launch(devices=2, num_nodes=2))
    with pytest.raises(ConfigError, match=r"4 processes were started.*ask for 2"):
        needs_own_processes(launch(devices=2))


@pytest.mark.parametrize(("name", "started"), [("train", True), ("bash", False), ("interactive", False)])
def test_slurm_started_them(unlaunched: pytest.MonkeyPatch, name: str, started: bool) -> None:
    unlaunched.setenv("SLURM_NTASKS", "2")
    unlaunched.setenv("SLURM_JOB_NAME", name)
    assert launched_externally() is started
