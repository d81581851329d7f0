"""Two processes: a sweep over DDP trainings, and torchrun. They start slowly, so few trainings share many checks.

What all models do in two processes is tried faster in ``test_two_ranks.py``.
"""

import csv
import json
import math
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ranks as shared
import torch
import yaml
from ranks import TRAIN, digest, measured_alone, notes, stopped_together

TINY = [
    "trainer=ddp_cpu",
    "trainer.max_steps=3",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
    "model.widths=[16,16,8,8,8]",
    "model.latent=16",
    "dataset.clips_per_class=8",
    "dataset.val_clips_per_class=2",
    "dataset.batch_size=4",
    "recognizer.max_steps=2",
    "recognizer.model.width=4",
    "measure.samples_per_class=6",
    "callbacks=none",
]


class Probe(shared.Probe):
    """Notes clips and noise of its rank; fails on ``fail_rank`` if told to."""

    def __init__(self, run_dir: Path, fail_rank: int = -1) -> None:
        super().__init__(run_dir)
        self.fail_rank = fail_rank
        self.seen |= {"batches": [], "noise": []}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_rank == self.fail_rank:
            raise RuntimeError(f"rank {self.fail_rank} was told to fail")
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        with torch.random.fork_rng(devices=[]):
            self.seen["noise"].append(digest([torch.randn(8)]))
        self.seen["batches"].append([digest([clip]) for clip in batch.joints])


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return shared.run(folder, command, Path(__file__), Path(shared.__file__))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ddp")


@pytest.fixture(scope="module")
def sweep(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Two DDP jobs: the first succeeds, in the second rank 1 fails while rank 0 waits for it."""
    probe = "+callbacks.probe={_target_:test_ddp.Probe}"
    return run(folder, TRAIN, "-m", *TINY, probe, "+callbacks.probe.fail_rank=-1,1", "hydra.sweep.dir=sweep")


@pytest.fixture(scope="module")
def ranks(sweep: "subprocess.CompletedProcess[str]", folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "sweep" / "0").glob("rank*.json"))
    assert [f.name for f in files] == ["rank0.json", "rank1.json"], sweep.stderr
    return notes(folder / "sweep" / "0")


pytestmark = [pytest.mark.ddp, pytest.mark.slow]


def test_a_failed_job_fails_the_sweep_but_does_not_stop_it(
    sweep: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    assert sweep.returncode == 1
    assert "job 1 failed: rank 1 was told to fail" in sweep.stderr
    assert "Traceback" not in sweep.stderr
    assert "1 of 2 jobs done, 1 failed; best: job 0" in sweep.stdout
    rows = list(csv.DictReader((folder / "sweep" / "sweep.csv").open()))
    assert [r["status"] for r in rows] == ["done", "rank 1 was told to fail"]
    logged = [json.loads(line) for line in (folder / "sweep" / "0" / "metrics.jsonl").read_text().splitlines()]
    objective = next(row["metric/motion_fid"] for row in logged if "metric/motion_fid" in row and row["step"] == 3)
    assert float(rows[0]["objective"]) == objective
    assert math.isfinite(objective)
    assert rows[1]["objective"] == ""


def test_every_job_has_one_directory(sweep: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {"cache", "sweep"}
    assert {p.name for p in (folder / "sweep").iterdir()} == {
        "0",
        "1",
        "multirun.yaml",
        "sweep.csv",
        "sweep.json",
        ".run.lock",
    }
    config = yaml.safe_load((folder / "sweep" / "0" / "config.yaml").read_text())
    assert config["sweep"].startswith("sweep-")
    assert json.loads((folder / "sweep" / "0" / "run.json").read_text())["command"][:2] == [TRAIN, "-m"]


def test_ranks_share_weights_but_neither_data_nor_noise(ranks: list[dict[str, Any]]) -> None:
    first, second = ranks
    assert first["weights"] == second["weights"]
    assert first["average"] == second["average"]
    assert not set(first["noise"]) & set(second["noise"])
    assert len(set(first["noise"])) == len(first["noise"]) == 3
    seen = [clip for rank in ranks for batch in rank["batches"] for clip in batch]
    # 2 ranks x 3 iterations x 4 clips of the first pass over 96 clips: none comes twice
    assert len(seen) == len(set(seen)) == 24


def test_metrics_over_two_processes_are_those_of_one(ranks: list[dict[str, Any]], folder: Path) -> None:
    assert ranks[0]["metrics"] == ranks[1]["metrics"]
    values = measured_alone(folder / "sweep" / "0", folder / "cache")
    assert set(values) == set(ranks[0]["metrics"])
    for name, value in values.items():
        assert ranks[0]["metrics"][name] == pytest.approx(value, rel=1e-6, abs=1e-6), name


def test_torchrun_starts_one_run_in_one_directory(
    sweep: "subprocess.CompletedProcess[str]", folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").symlink_to(folder / "cache")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = run(tmp_path, *launcher, TRAIN, *TINY, "+callbacks.probe={_target_:test_ddp.Probe}")
    assert done.returncode == 0, done.stderr
    (run_dir,) = (tmp_path / "outputs" / "kinetic_gan_toy_motion").iterdir()
    assert {p.name for p in run_dir.glob("rank*.json")} == {"rank0.json", "rank1.json"}
    # whoever starts the ranks, the training is the same
    here, there = (notes(d)[1] for d in (run_dir, folder / "sweep" / "0"))
    assert (here["weights"], here["average"]) == (there["weights"], there["average"])


def test_all_processes_stop_after_the_same_iteration(tmp_path: Path) -> None:
    """Ctrl-C; SIGTERM to ranks is in ``test_two_ranks.py``."""
    (tmp_path / "cache").mkdir()
    probe = "+callbacks.probe={_target_:ranks.Signalled}"
    settings = [*TINY, "trainer.max_steps=1000", "metrics=none", probe, f"+callbacks.probe.number={int(signal.SIGINT)}"]
    done = run(tmp_path, TRAIN, *settings, "hydra.run.dir=run")
    assert done.returncode == 130, done.stderr
    count = stopped_together(tmp_path / "run")
    assert 3 <= count <= 5
    assert f"Stopped after iteration {count} of 1,000" in done.stderr
    assert "ckpt=last hydra.run.dir=run" in done.stderr
