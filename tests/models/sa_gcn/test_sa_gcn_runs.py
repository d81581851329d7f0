"""SA-GCN's recipes on other data than the paper's, and compiled networks."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cmu_mocap_tree
import pytest
import torch
from torch import nn

from mutoscope.config.choices import config_dir
from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("sa_gcn_*.yaml"))
#: what sets a recipe apart from the whole model
DIFFERENT = {
    "sa_gcn_h36m": {},
    "sa_gcn_cnn": {"layer": "cnn", "kernel": [3, 3]},
    "sa_gcn_no_past": {"kept": 0},
    "sa_gcn_st_gc": {"layer": "st_gc", "kernel": [9, 1]},
    "sa_gcn_k_sweep": {"kept": 5},
    "sa_gcn_class_loss": {"class_weight": 1.0},
}


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Overrides for a made-up ASF/AMC tree."""
    folder = tmp_path_factory.mktemp("mocap")
    root = cmu_mocap_tree.write_tree(folder / "tree")
    return (
        "dataset=cmu_mocap",
        f"dataset.root={root}",
        f"dataset.cache_dir={folder / 'cache'}",
        "dataset.skeleton=h36m15",
    )


def test_recipes_are_the_whole_model_and_one_change(compose: Compose) -> None:
    assert set(EXPERIMENTS) == set(DIFFERENT)
    whole = compose("experiment=sa_gcn_h36m", "dataset=toy_motion")
    for name, changes in DIFFERENT.items():
        config = compose(f"experiment={name}", "dataset=toy_motion")
        graph = {key: value for key, value in changes.items() if key in whole["model"]["graph"]}
        others = {key: value for key, value in changes.items() if key not in graph}
        changed = {**whole["model"], "graph": {**whole["model"]["graph"], **graph}, **others}
        assert config["model"] == changed, name
        assert (config["metrics"], config["measure"]) == (whole["metrics"], whole["measure"])
    names = {compose(f"experiment={name}", "dataset=toy_motion")["name"] for name in EXPERIMENTS}
    assert len(names) == len(EXPERIMENTS)
    kept = compose("experiment=sa_gcn_k_sweep", "dataset=toy_motion", "model.graph.kept=3")
    assert kept["name"] == "sa_gcn_k3_toy_motion"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_recipes_train_on_other_data(
    compose: Compose,
    networks: tuple[str, ...],
    people: tuple[str, ...],
    mocap: tuple[str, ...],
    experiment: str,
    tmp_path: Path,
) -> None:
    for data in (people, mocap):
        run_dir = tmp_path / data[0]
        quick = (*networks, "trainer.max_steps=2", "metrics=none", "callbacks=none", "objective=loss/generator")
        train(compose(f"experiment={experiment}", *data, *quick), run_dir)
        logged = read_metrics(run_dir / "metrics.jsonl")
        assert [row["step"] for row in logged] == [1, 2]
        losses = [row[f"loss/{name}"] for row in logged for name in ("clip_critic", "frame_critic", "generator")]
        assert all(map(math.isfinite, losses))


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_compiled_networks_do_what_eager_ones_do(
    small: Compose, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced, forward and backward, but run as they are: needs no compiler and takes seconds."""
    compiling = nn.Module.compile
    compiled_networks: list[str] = []

    def compile_quickly(network: nn.Module) -> None:
        compiled_networks.append(type(network).__name__)
        compiling(network, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", compile_quickly)
    states = {}
    for compiled in (False, True):
        config = small("trainer.max_steps=2", f"model.graph.variant={variant}", f"model.compile_networks={compiled}")
        for name in config["model"]["optimizers"]:
            config["model"]["optimizers"][name] = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1}
        train(config, tmp_path / str(compiled))
        states[compiled] = read_checkpoint(tmp_path / str(compiled) / "checkpoints" / "last.ckpt")["state_dict"]
    assert sorted(compiled_networks) == ["ClipCritic", "FrameCritic", "Generator"]
    torch.testing.assert_close(states[True], states[False], rtol=1e-3, atol=1e-5)
