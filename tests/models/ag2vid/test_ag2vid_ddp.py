"""AG2Vid in two processes: one model, different data, and no waiting for a rank on which nothing happens."""

import math
from pathlib import Path
from typing import Any

import pytest
from places import SUPPORT
from ranks import TRAIN, notes, run

from mutoscope.training.loggers import read_metrics

STEPS = 3

pytestmark = pytest.mark.ddp


@pytest.fixture(scope="module")
def run_dir(command: tuple[str, ...], cater: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training in two processes on data without any action on the second."""
    folder = tmp_path_factory.mktemp("ddp")
    typed = [
        *command,
        *cater,
        "dataset=quiet_cater",
        "dataset.batch_size=1",
        "model.layout.rivals=[rnn]",
        "model.ema_half_life=2",
        "trainer=ddp_cpu",
        f"trainer.max_steps={STEPS}",
        "recognizer.max_steps=1",
        "measure.samples_per_class=1",
        "callbacks=none",
        "+callbacks.probe={_target_:quiet_cater.Probe}",
        "hydra.run.dir=run",
    ]
    done = run(folder, [TRAIN, *typed], SUPPORT / "quiet_cater.py")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def ranks(run_dir: Path) -> list[dict[str, Any]]:
    return notes(run_dir)


def test_all_networks_are_the_same_on_both_ranks_and_move(ranks: list[dict[str, Any]]) -> None:
    first, second = ranks
    assert first["weights"] == second["weights"]
    assert first["average"] == second["average"]
    assert set(first["weights"][0]) == {"generator", "discriminator", "layout"}
    for name in first["weights"][0]:
        assert len({step[name] for step in first["weights"]}) == STEPS, name


def test_ranks_learn_from_different_clips(ranks: list[dict[str, Any]]) -> None:
    for part in ("frames", "layout"):
        assert all(mine != theirs for mine, theirs in zip(ranks[0][part], ranks[1][part], strict=True)), part
        assert len(ranks[0][part]) == STEPS


def test_nothing_happens_on_one_rank_or_on_both(ranks: list[dict[str, Any]]) -> None:
    """What the rest of this file is about: otherwise it would say nothing of batches without actions."""
    assert [min(counts) > 0 for counts in ranks[0]["actions"]] == [True, False, True]
    assert ranks[1]["actions"] == [[0, 0]] * STEPS


def test_both_ranks_measure_the_same(ranks: list[dict[str, Any]], run_dir: Path) -> None:
    assert ranks[0]["metrics"] == ranks[1]["metrics"]
    assert {"layout_miou", "frame_error"} <= set(ranks[0]["metrics"])
    logged = next(row for row in read_metrics(run_dir / "metrics.jsonl") if "metric/frame_error" in row)
    for name, value in ranks[0]["metrics"].items():
        assert math.isfinite(value)
        assert logged[f"metric/{name}"] == pytest.approx(value, rel=1e-6, abs=1e-6), name
