"""Every model in two processes: one model, different data and noise, and the numbers of a single process.

All trainings come from one launch, see ``tests/support/forked_ranks.py``; Kinetic-GAN's is in ``test_ddp.py``.
"""

import json
import math
import signal
from pathlib import Path
from typing import Any

import forked_ranks
import pytest
import torch
from cater_tree import write_tree
from narrow import AG2VID, CLIPS, GLASS, KINETIC_GAN, PEOPLE, QUIET, SA_GCN, SPRITES
from places import SUPPORT
from ranks import measured_alone, notes, run, stopped_together

from mutoscope.training.loggers import read_metrics

STEPS = 3
PLUGINS = ("ranks", "noise_probe", "quiet_cater", "sprites_probe")

pytestmark = [pytest.mark.ddp, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all trainings ran, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("ranks")
    cater = ("dataset=quiet_cater", f"dataset.root={write_tree(folder / 'max2action', objects=12)}", *CLIPS)
    steps = f"trainer.max_steps={STEPS}"
    jobs: dict[str, tuple[str, ...]] = {
        "sa_gcn": (
            "model=sa_gcn",
            *PEOPLE,
            *SA_GCN,
            steps,
            "dataset.clips_per_class=8",
            "model.ema_half_life=8",
            "model.micro_batches=2",
            "model.class_weight=1",
            "metrics=sa_gcn",
            "measure.samples_per_class=24",  # three chunks: both processes make some
            "recognizer.max_steps=2",
            "recognizer.model.width=4",
            "metrics.accuracy_clip_critic.recognizer.max_steps=2",
            "metrics.accuracy_clip_critic.recognizer.model.widths=[12,10,14,6]",
            "+callbacks.probe={_target_:noise_probe.Probe}",
        ),
        "ag2vid": (
            *AG2VID,
            *cater,
            steps,
            f"dataset.cache_dir={folder / 'cater_cache'}",
            "dataset.batch_size=1",
            "model.layout.rivals=[rnn]",
            "model.ema_half_life=2",
            "recognizer.max_steps=1",
            "measure.samples_per_class=1",
            "+callbacks.probe={_target_:quiet_cater.Probe}",
        ),
        "glass": (
            *GLASS,
            *SPRITES,
            steps,
            "dataset.batch_size=1",
            "model.ema_half_life=2",
            "metrics=video",
            "+callbacks.probe={_target_:sprites_probe.Probe}",
        ),
        "restarted": (
            *GLASS,
            *SPRITES,
            steps,
            "dataset.batch_size=1",
            "model.pretraining=0",
            "model.ema_half_life=2",
            "model.restart_codes=1",
            # more than two clips have steps, so that some are used and some are not
            "model.local_motion.actions.codes=12",
            "metrics=none",
            "+metrics.psnr=standard/psnr",
            "+callbacks.probe={_target_:sprites_probe.Restarts}",
        ),
        "stopped": (
            *KINETIC_GAN,
            *PEOPLE,
            "dataset.length=16",
            "dataset.batch_size=4",
            "trainer.max_steps=1000",
            "metrics=none",
            "+callbacks.probe={_target_:ranks.Signalled}",
            f"+callbacks.probe.number={int(signal.SIGTERM)}",
        ),
    }
    orders = folder / "jobs.json"
    orders.write_text(
        forked_ranks.typed_for({name: (*typed, *QUIET, "callbacks=none") for name, typed in jobs.items()})
    )
    plugins = [SUPPORT / f"{name}.py" for name in PLUGINS]
    done = run(folder, [str(SUPPORT / "forked_ranks.py"), str(orders)], *plugins)
    assert done.returncode == 0, done.stderr
    return folder


def seen_by(folder: Path, name: str) -> list[dict[str, Any]]:
    """What the probes of both ranks noted of a training that ended as it should."""
    for rank in (0, 1):
        assert (folder / name / f"ended{rank}").read_text().startswith("done")
    return notes(folder / name)


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("sa_gcn", {"clip_critic", "frame_critic", "generator"}),
        ("ag2vid", {"generator", "discriminator", "layout"}),
        ("glass", {"global_motion", "local_motion"}),
    ],
)
def test_all_networks_are_the_same_on_both_ranks_and_move(folder: Path, name: str, networks: set[str]) -> None:
    first, second = seen_by(folder, name)
    assert first["weights"] == second["weights"]
    assert first["average"] == second["average"]
    assert set(first["weights"][0]) == networks
    # GLASS leaves local motion alone in the first iteration, which is pretraining
    still = {"local_motion": 0} if name == "glass" else {}
    for network in networks:
        assert len({step[network] for step in first["weights"]}) == STEPS - still.get(network, 0), network


@pytest.mark.parametrize("name", ["sa_gcn", "ag2vid", "glass"])
def test_both_ranks_measure_the_same_and_it_is_what_is_logged(folder: Path, name: str) -> None:
    ranks = seen_by(folder, name)
    expected = {"sa_gcn": "paper/sa_gcn_mmd", "ag2vid": "frame_error", "glass": "mask_iou"}[name]
    found = [{key: value for key, value in rank["metrics"].items() if value == value} for rank in ranks]
    assert found[0] == found[1]
    assert expected in found[0]
    logged = next(row for row in read_metrics(folder / name / "metrics.jsonl") if f"metric/{expected}" in row)
    for key, value in found[0].items():
        assert math.isfinite(value)
        assert logged[f"metric/{key}"] == pytest.approx(value, rel=1e-6, abs=1e-6), key


def test_sa_gcn_shares_neither_clips_nor_noise(folder: Path) -> None:
    ranks = seen_by(folder, "sa_gcn")
    for what in ("clips", "noise"):
        assert ranks[0][what], what
        assert not set(ranks[0][what]) & set(ranks[1][what]), what
    # 2 ranks x 3 iterations x 4 clips: one pass over the 24 clips of the data
    assert len(set(ranks[0]["clips"] + ranks[1]["clips"])) == 24
    # every iteration has its own; its two parts make their fakes anew for each of the three updates
    assert len(ranks[0]["noise"]) == STEPS * 2 * 3
    assert len(set(ranks[0]["noise"])) == STEPS * 2


def test_metrics_of_sa_gcn_over_two_processes_are_those_of_one(folder: Path) -> None:
    ranks = seen_by(folder, "sa_gcn")
    values = measured_alone(folder / "sa_gcn", folder / "cache")
    assert set(values) == set(ranks[0]["metrics"]) > {"paper/sa_gcn_mmd", "paper/sa_gcn_mmd_avg"}
    for name, value in values.items():
        # the released MMD leaves out clips of equal number, and processes gather clips in another order than one makes
        near = 1e-4 if name.startswith("paper/") else 1e-6
        assert ranks[0]["metrics"][name] == pytest.approx(value, rel=near, abs=1e-6), name


def test_ag2vid_learns_from_different_clips(folder: Path) -> None:
    ranks = seen_by(folder, "ag2vid")
    for part in ("frames", "layout"):
        assert all(mine != theirs for mine, theirs in zip(ranks[0][part], ranks[1][part], strict=True)), part
        assert len(ranks[0][part]) == STEPS


def test_nothing_happens_on_one_rank_of_ag2vid_or_on_both(folder: Path) -> None:
    """Nobody waited for a rank on which nothing happens; without this its training would say nothing of such ones."""
    ranks = seen_by(folder, "ag2vid")
    assert [min(counts) > 0 for counts in ranks[0]["actions"]] == [True, False, True]
    assert ranks[1]["actions"] == [[0, 0]] * STEPS


def test_ag2vid_measures_layouts_too(folder: Path) -> None:
    assert {"layout_miou", "frame_error"} <= set(seen_by(folder, "ag2vid")[0]["metrics"])


def test_glass_learns_from_different_clips(folder: Path) -> None:
    ranks = seen_by(folder, "glass")
    assert len(ranks[0]["clips"]) == STEPS
    assert not set(ranks[0]["clips"]) & set(ranks[1]["clips"])


def test_codes_that_nobody_uses_move_to_the_same_place_on_both_ranks(folder: Path) -> None:
    first, second = seen_by(folder, "restarted")
    assert not set(first["clips"]) & set(second["clips"])
    for what in ("weights", "codes", "idle", "momentum"):
        assert first[what] == second[what], what
    # the learning rate moves a number by 0.0004 at most; what moves farther was put there, and leads on from nowhere
    codes, momentum = torch.tensor(first["codes"]), torch.tensor(first["momentum"])[:, 0]
    moved = (codes[1:] - codes[:-1]).abs().amax(2) > 0.01
    assert moved.any()
    assert not moved.all()
    assert (momentum[1:][moved] == 0).all()
    assert (momentum[1:][~moved] != 0).any()


def test_told_to_end_both_stop_after_the_same_iteration(folder: Path) -> None:
    """SIGTERM to one of them; Ctrl-C through the command line is in ``test_ddp.py``."""
    count = stopped_together(folder / "stopped")
    assert 3 <= count <= 5
    for rank in (0, 1):
        said = (folder / "stopped" / f"ended{rank}").read_text()
        assert said.startswith(f"interrupted: Stopped after iteration {count} of 1,000")
        assert "ckpt=last" in said


def test_the_file_of_jobs_is_read_as_it_is_written() -> None:
    assert json.loads(forked_ranks.typed_for({"a": ("b=1",)})) == {"a": ["trainer=ddp_cpu", "b=1"]}
