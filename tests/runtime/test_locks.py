"""One process at a time in a run directory, and what killed ones left there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patience

from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.locks import LOCKED, is_locked, run_lock


def test_a_second_process_is_told_of_the_first(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with run_lock(run_dir):
        assert is_locked(run_dir)
        with pytest.raises(
            ConfigError, match=rf"Process {os.getpid()} on \S+ \(since .*\) works in .*run; wait for it"
        ):
            run_lock(run_dir).__enter__()
        # nor is it disturbed by the attempt
        assert is_locked(run_dir)
        (run_dir / "kept").touch()
    assert not is_locked(run_dir)
    with run_lock(run_dir):
        pass
    assert (run_dir / "kept").is_file()


def test_ranks_and_jobs_of_the_same_run_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_lock(tmp_path):
        with monkeypatch.context() as job:
            job.setenv(LOCKED, str(tmp_path.resolve()))
            with run_lock(tmp_path):
                pass
        with monkeypatch.context() as rank:
            rank.setenv("LOCAL_RANK", "1")
            with run_lock(tmp_path):
                pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from mutoscope.runtime.locks import run_lock;"
        "run_lock(Path(sys.argv[1])).__enter__(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=patience(60))
    with run_lock(tmp_path):
        pass


def test_nothing_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), run_lock(tmp_path / "run"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_temporaries_of_dead_processes_are_swept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    dead, alive = 2**22 + 1, os.getppid()
    gone = [
        checkpoints / f".last.ckpt.{dead}.tmp",
        checkpoints / f".last.ckpt.{alive}.tmp",
        tmp_path / f".x.{dead}.tmp",
    ]
    kept = [checkpoints / "last.ckpt", tmp_path / f".report.{alive}.tmp", tmp_path / ".mine.tmp"]
    for path in [*gone, *kept]:
        path.touch()
    with run_lock(tmp_path):
        assert [path.exists() for path in gone] == [False] * 3
        assert all(path.exists() for path in kept)
    assert "which a killed process left half written" in capsys.readouterr().out
