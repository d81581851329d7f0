"""GLASS's recipes: the rows of its paper's tables are the whole model and one change, and train."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.config.choices import config_dir
from mutoscope.models.glass.actions import ActionNetwork, ActionSettings
from mutoscope.models.glass.restarts import CodeRestarts
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("glass_*.yaml"))
#: of each recipe: the one it is compared with, and what differs in the model
DIFFERENT: dict[str, tuple[str, dict[str, Any]]] = {
    "glass_no_recb": ("glass_global", {"global_weights.recb_l1": 0.0}),
    "glass_no_recf": ("glass_global", {"global_weights.recf": 0.0}),
    "glass_no_size": ("glass_global", {"global_weights.size": 0.0}),
    "glass_no_recj": ("glass_global", {"global_weights.recj": 0.0}),
    "glass_no_bin": ("glass_global", {"global_weights.binary": 0.0}),
    "glass_no_vgg": ("glass_global", {"global_weights.recb_vgg": 0.0}),
    "glass_plain": ("glass_200k", {"local_motion.actions.directions": "plain"}),
    "glass_gumbel": ("glass_200k", {"local_motion.actions.quantiser": "gumbel"}),
    "glass_no_modulation": ("glass_200k", {"local_motion.dynamics.conditioning": "concatenated"}),
    "glass_joint": ("glass_200k", {"local_motion.dynamics.conditioning": "joint"}),
    "glass_no_recs": ("glass_200k", {"local_weights.recs": 0.0}),
    "glass_k_sweep": ("glass_200k", {}),
}
#: the paper's numbers of each data set: K, s, c, z, theta, frames at the end, batch
DATA = {
    "glass_wsprites": (6, 8, 32, 0, 0.06, 12, 4),
    "glass_tennis": (4, 16, 64, 8, 0.01, 11, 4),
    "glass_bair": (2, 8, 32, 0, 0.06, 6, 2),
}


def flat(node: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """``{"a.b": 1}`` of nested settings."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{place}{name}.")
        else:
            found[f"{place}{name}"] = value
    return found


def test_rows_of_the_tables_are_the_whole_model_and_one_change(compose: Compose) -> None:
    assert set(EXPERIMENTS) == {
        *DIFFERENT,
        *DATA,
        "glass_global",
        "glass_200k",
        "glass_own_videos",
        "glass_local_hours",
        "glass_global_minutes",
    }
    configs = {name: compose(f"experiment={name}") for name in EXPERIMENTS}
    for name, (whole, changes) in DIFFERENT.items():
        ours, theirs = flat(configs[name]["model"]), flat(configs[whole]["model"])
        assert {key: value for key, value in ours.items() if value != theirs[key]} == changes, name
        assert configs[name]["trainer"] == configs[whole]["trainer"]
        smaller = {"batch_size": 2} if name in ("glass_plain", "glass_gumbel") else {}
        assert configs[name]["dataset"] == configs[whole]["dataset"] | smaller
    assert len({config["name"] for config in configs.values()}) == len(EXPERIMENTS)
    assert compose("experiment=glass_k_sweep", "model.local_motion.actions.codes=9")["name"] == "glass_k9"


def test_videos_of_ones_own_are_learned_as_the_quickstart_is(compose: Compose) -> None:
    ours, theirs = (compose(f"experiment={name}") for name in ("glass_own_videos", "quickstart_glass"))
    # nobody knows how large an agent of one's own is
    assert (ours["model"]["local_motion"].pop("window"), theirs["model"]["local_motion"].pop("window")) == (
        None,
        [32, 32],
    )
    assert ours["model"] == theirs["model"]
    assert ours["trainer"] == theirs["trainer"]


@pytest.mark.parametrize("experiment", DATA)
def test_data_sets_have_the_papers_numbers(compose: Compose, experiment: str) -> None:
    config = compose(f"experiment={experiment}")
    local, dynamics = config["model"]["local_motion"], config["model"]["local_motion"]["dynamics"]
    found = (
        local["actions"]["codes"],
        dynamics["compressed"],
        dynamics["width"],
        dynamics["noise"],
        config["model"]["global_weights"]["size_target"],
        config["model"]["length"]["end"],
        config["dataset"]["batch_size"],
    )
    assert found == DATA[experiment]


@pytest.mark.parametrize("experiment", ["glass_no_recb", "glass_gumbel", "glass_joint", "glass_no_modulation"])
def test_recipes_train(
    compose: Compose, sprites: tuple[str, ...], narrow: tuple[str, ...], experiment: str, tmp_path: Path
) -> None:
    quick = (
        "trainer.max_steps=2",
        "metrics=none",
        "callbacks=none",
        "objective=loss/recj",
        "trainer.log_every_n_steps=1",
    )
    words = (*sprites, *narrow, *quick, "trainer=cpu", "trainer.progress=false", "trainer.log_every_n_steps=1")
    words += ("model.pretraining=0",)
    # what is left out of these is what a table is about
    words = tuple(word for word in words if not (experiment == "glass_no_recb" and "local_motion" in word))
    train(compose(f"experiment={experiment}", *words), tmp_path)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    drawn = () if experiment == "glass_no_recb" else ("local_motion",)
    assert all(math.isfinite(row[f"loss/{name}"]) for row in rows for name in ("global_motion", *drawn))


def test_a_code_that_nobody_uses_moves_to_where_actions_are() -> None:
    torch.manual_seed(0)
    codes = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    restarts, seen = CodeRestarts(3, after=2), torch.randn(5, 2)
    before = codes.clone()
    restarts(codes, torch.tensor([0, 0, 0, 0, 1]), seen)
    assert torch.equal(codes, before)
    restarts(codes, torch.tensor([0, 0, 0, 0, 0]), seen)
    # the last one waited for two iterations, the second for one
    assert torch.equal(codes[:2], before[:2])
    assert any(torch.equal(codes[2], one) for one in seen)
    assert restarts.idle.tolist() == [0, 1, 0]


def test_the_optimiser_forgets_where_a_moved_code_was_going() -> None:
    torch.manual_seed(0)
    codes, momentum = torch.zeros(3, 2), torch.ones(3, 2)
    CodeRestarts(3, after=1)(codes, torch.tensor([0, 2]), torch.randn(2, 2), momentum)
    assert codes[1].any()
    assert momentum.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_normalised_directions_cannot_shrink() -> None:
    torch.manual_seed(0)
    network = ActionNetwork(ActionSettings(codes=4, code_size=6, normalised=True), 8)
    network.project[-1].weight.data.mul_(0.1)
    actions = network(torch.randn(32, 8, 4, 6), torch.randn(32, 8, 4, 6))
    assert torch.allclose(actions.projected.mean(0), torch.zeros(6), atol=1e-4)
    assert torch.allclose(actions.projected.std(0, correction=0), torch.ones(6), atol=0.02)
    # what is told is the nearest of the codes to what was normalised
    apart = torch.cdist(actions.projected, network.codes)
    assert torch.equal(actions.index, apart.argmin(1))
    assert torch.allclose(actions.code, network.codes[actions.index], atol=1e-5)
