"""Going on with other settings: what a new setting changes, what stays, and where schedules stand."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.utils import get_object
from torch import Tensor, nn

from mutoscope.formats.checkpoints import read_checkpoint, save_atomically
from mutoscope.models.base import IterationModule
from mutoscope.runtime.errors import ConfigError
from mutoscope.training.loggers import read_metrics
from mutoscope.training.resuming import adopt_settings, announce_changes, differences
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
DONE = 7


def node(target: str, **settings: Any) -> dict[str, Any]:
    return {"_target_": target, "_partial_": True, **settings}


def adam(**settings: Any) -> dict[str, Any]:
    return node("torch.optim.Adam", lr=0.1, **settings)


def schedule(name: str, **settings: Any) -> dict[str, Any]:
    return node(f"torch.optim.lr_scheduler.{name}", **settings)


def factory(settings: Mapping[str, Any]) -> Any:
    return partial(get_object(settings["_target_"]), **{k: v for k, v in settings.items() if not k.startswith("_")})


class Run:
    """A weight under one optimiser, trained as the program would train it."""

    def __init__(self, optimizer: dict[str, Any], scheduler: dict[str, Any] | None) -> None:
        self.node = {"optimizers": {"one": optimizer}, "schedulers": {"one": scheduler} if scheduler else None}
        self.model: Any = SimpleNamespace(
            optimizer_names=["one"],
            optimizer_factories={"one": factory(optimizer)},
            scheduler_factories={"one": factory(scheduler)} if scheduler else {},
        )
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.optimizer = factory(optimizer)([self.weight])
        self.scheduler = factory(scheduler)(self.optimizer) if scheduler else None

    def steps(self, count: int) -> list[float]:
        rates = []
        for _ in range(count):
            rates.append(self.optimizer.param_groups[0]["lr"])
            self.weight.grad = self.weight.detach().clone()
            self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
        return rates

    def checkpoint(self, done: int) -> dict[str, Any]:
        return copy.deepcopy(
            {
                "mutoscope": {
                    "iterations": done,
                    "samples_seen": 8 * done,
                    "config": {"model": self.node, "dataset": {}},
                },
                "optimizer_states": [self.optimizer.state_dict()],
                "lr_schedulers": [] if self.scheduler is None else [self.scheduler.state_dict()],
            }
        )

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(checkpoint["optimizer_states"][0])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(checkpoint["lr_schedulers"][0])


def resumed(old: Run, new: Run) -> list[str]:
    old.steps(DONE)
    checkpoint = old.checkpoint(DONE)
    lines = adopt_settings(checkpoint, new.model, new.node)
    new.load(checkpoint)
    return lines


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (schedule("CosineAnnealingLR", T_max=DONE), schedule("CosineAnnealingLR", T_max=12)),
        (schedule("CosineAnnealingLR", T_max=DONE), schedule("CosineAnnealingLR", T_max=12, eta_min=0.01)),
        (schedule("ExponentialLR", gamma=0.9), schedule("ExponentialLR", gamma=0.5)),
        (schedule("MultiStepLR", milestones=[3, 5]), schedule("MultiStepLR", milestones=[4, 9])),
        (schedule("StepLR", step_size=2), schedule("StepLR", step_size=5)),
        (schedule("OneCycleLR", max_lr=0.2, total_steps=8), schedule("OneCycleLR", max_lr=0.2, total_steps=13)),
        (
            schedule("LinearLR", start_factor=1.0, end_factor=0.1, total_iters=DONE),
            schedule("LinearLR", start_factor=1.0, end_factor=0.1, total_iters=12),
        ),
        (schedule("PolynomialLR", total_iters=DONE), schedule("CosineAnnealingWarmRestarts", T_0=5)),
        (None, schedule("ExponentialLR", gamma=0.5)),
        (schedule("ExponentialLR", gamma=0.5), None),
    ],
)
def test_a_changed_schedule_goes_on_as_a_run_of_the_new_settings(
    before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    new, whole = Run(adam(), after), Run(adam(), after)
    lines = resumed(Run(adam(), before), new)
    rates = whole.steps(12)
    assert new.steps(12 - DONE) == rates[DONE:]
    assert new.optimizer.param_groups[0]["betas"] == whole.optimizer.param_groups[0]["betas"]
    assert len(lines) == 1


def test_a_longer_schedule_does_not_climb_back() -> None:
    new = Run(adam(), schedule("CosineAnnealingLR", T_max=20))
    resumed(Run(adam(), schedule("CosineAnnealingLR", T_max=DONE)), new)
    rates = new.steps(13)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    "changed", [{"lr": 1e-6}, {"betas": (0.5, 0.9)}, {"eps": 1e-3}, {"weight_decay": 0.3}, {"maximize": True}]
)
@pytest.mark.parametrize("scheduler", [None, schedule("ExponentialLR", gamma=0.9)])
def test_every_changed_argument_of_an_optimiser_wins_and_moments_stay(
    changed: dict[str, Any], scheduler: dict[str, Any] | None
) -> None:
    old, new = Run(adam(), scheduler), Run({**adam(), **changed}, scheduler)
    resumed(old, new)
    (name, value), group = next(iter(changed.items())), new.optimizer.param_groups[0]
    expected = value * 0.9**DONE if name == "lr" and scheduler else value
    assert group[name] == pytest.approx(expected, rel=1e-12)
    theirs, mine = (run.optimizer.state[run.weight] for run in (old, new))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_unchanged_settings_go_on_to_the_last_bit_whatever_was_in_the_state() -> None:
    old = Run(adam(), schedule("ExponentialLR", gamma=0.9))
    old.steps(DONE)
    checkpoint = old.checkpoint(DONE)
    checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] += 1e-17
    untouched = copy.deepcopy(checkpoint)
    assert adopt_settings(checkpoint, old.model, old.node) == []
    torch.testing.assert_close(checkpoint["optimizer_states"], untouched["optimizer_states"], rtol=0, atol=0)
    assert checkpoint["optimizer_states"][0]["param_groups"] == untouched["optimizer_states"][0]["param_groups"]
    assert checkpoint["lr_schedulers"] == untouched["lr_schedulers"]


@pytest.mark.parametrize(
    "after",
    [node("torch.optim.RMSprop", lr=0.1), node("torch.optim.AdamW", lr=0.1), adam(amsgrad=True)],
    ids=["class", "alike", "amsgrad"],
)
def test_moments_that_do_not_fit_start_anew_and_that_is_said(after: dict[str, Any]) -> None:
    new = Run(after, None)
    lines = resumed(Run(adam(), None), new)
    assert lines == [line for line in lines if line.startswith("The moments of the optimiser one start anew")]
    assert len(lines) == 1
    assert not new.optimizer.state
    new.steps(2)


def test_differences_are_found_at_any_depth() -> None:
    old = {"name": "a", "model": {"lr": 1, "widths": [1, 2], "gone": 3}, "seed": 0}
    new = {"name": "b", "model": {"lr": 2, "widths": (1, 2), "come": {"x": 1}}, "seed": 0}
    assert differences(new, old) == [("model.lr", 1, 2), ("model.gone", 3, None), ("model.come.x", None, 1)]


def test_other_batches_seeds_and_processes_are_said() -> None:
    config = {"seed": 0, "model": {}, "dataset": {"batch_size": 8, "seed": 0}}
    own = {"config": config, "iterations": 20, "samples_seen": 160, "world_size": 2}
    changed = {"seed": 1, "model": {}, "dataset": {"batch_size": 4, "seed": 1}}
    lines = announce_changes(changed, {"mutoscope": own}, 1)
    text = " ".join(lines)
    assert "dataset.batch_size was 8 and is now 4." in lines
    assert "the data go on after the 160 samples that were seen" in text
    assert "With another seed, the order of the data and all noise are others" in text
    assert "The checkpoint is of 2 processes, the run goes on with 1 process" in text
    assert announce_changes(config, {"mutoscope": own}, 2) == []


# --- whole runs --------------------------------------------------------------------------------------------------


def last(run_dir: Path) -> dict[str, Any]:
    return read_checkpoint(run_dir / "checkpoints" / "last.ckpt")


def rates(checkpoint: Mapping[str, Any]) -> list[float]:
    return [group["lr"] for state in checkpoint["optimizer_states"] for group in state["param_groups"]]


def test_a_typed_learning_rate_wins_and_is_said(
    tiny: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny("trainer.max_steps=2"), tmp_path)
    train(tiny("trainer.max_steps=3", "ckpt=last", "model.optimizers.generator.lr=1e-6"), tmp_path)
    checkpoint = last(tmp_path)
    recorded = checkpoint["mutoscope"]["config"]["model"]["optimizers"]
    assert rates(checkpoint) == [2e-4, 1e-6] == [recorded[name]["lr"] for name in ("critic", "generator")]
    assert "model.optimizers.generator.lr was 0.0002 and is now 1e-06." in capsys.readouterr().out


def test_another_batch_size_goes_on_after_the_samples_seen(tiny: Compose, tmp_path: Path) -> None:
    train(tiny("trainer.max_steps=3"), tmp_path)
    train(tiny("trainer.max_steps=5", "ckpt=last", "dataset.batch_size=4"), tmp_path)
    assert [row["samples_seen"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [8, 16, 24, 28, 32]


def test_a_refused_resume_leaves_the_records_of_the_run(tiny: Compose, tmp_path: Path) -> None:
    train(tiny("trainer.max_steps=1"), tmp_path)
    before = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(ConfigError, match="is of shape"):
        train(tiny("trainer.max_steps=2", "ckpt=last", "model.latent=9"), tmp_path)
    assert (tmp_path / "config.yaml").read_bytes() == before


def flat(state: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([value.flatten().float() for value in state.values()])


def test_fine_tuning_takes_weights_and_average_under_this_runs_settings(
    tiny: Compose, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny("trainer.max_steps=1", "model.optimizers.critic.lr=0.0", "model.optimizers.generator.lr=0.0")
    config["ckpt"] = str(trained / "checkpoints" / "last.ckpt")
    train(config, tmp_path / "tuned")
    mine, theirs = last(tmp_path / "tuned"), last(trained)
    assert mine["mutoscope"]["iterations"] == 1
    assert (mine["mutoscope"]["samples_seen"], mine["mutoscope"]["samples_before"]) == (8, 48)
    assert mine["mutoscope"]["started_from"] == {"checkpoint": config["ckpt"], "iterations": 6, "moments": False}
    networks = [name for name, _ in theirs["state_dict"].items() if name.startswith(("critic.", "_generator."))]
    parameters = [name for name in networks if name.endswith("weight") and "norm" not in name and "ema" not in name]
    assert parameters
    for name in parameters:
        torch.testing.assert_close(mine["state_dict"][name], theirs["state_dict"][name], rtol=0, atol=0)
    # a young run's average would have leapt to the weights; this one trails them
    ema = [name for name in theirs["state_dict"] if name.startswith("ema.") and name.endswith("weight")]
    moved = flat({n: mine["state_dict"][n] for n in ema}) - flat({n: theirs["state_dict"][n] for n in ema})
    weights = flat({n: theirs["state_dict"][n.replace("ema.network", "_generator")] for n in ema})
    assert 0 < moved.norm() < 0.95 * (weights - flat({n: theirs["state_dict"][n] for n in ema})).norm()
    assert rates(mine) == [0.0, 0.0]
    assert all(next(iter(state["state"].values()))["step"] == 1 for state in mine["optimizer_states"])
    assert "with new moments" in capsys.readouterr().out
    # what began with other weights is a run of its own afterwards
    train(tiny("trainer.max_steps=2", "ckpt=last"), tmp_path / "tuned")
    assert last(tmp_path / "tuned")["mutoscope"]["started_from"]["iterations"] == 6


def test_fine_tuning_takes_moments_when_asked(tiny: Compose, trained: Path, tmp_path: Path) -> None:
    config = tiny("trainer.max_steps=1", "moments=true")
    config["ckpt"] = str(trained / "checkpoints" / "last.ckpt")
    train(config, tmp_path / "tuned")
    critic = last(tmp_path / "tuned")["optimizer_states"][0]
    assert next(iter(critic["state"].values()))["step"] == 7
    config["model"]["optimizers"]["critic"] = node("torch.optim.RMSprop", lr=1e-3)
    with pytest.raises(ConfigError, match=r"moments=true asks for the moments of the optimiser critic.*moments=false"):
        train(config, tmp_path / "other")


@pytest.mark.parametrize(("rank", "world", "expected"), [(0, 2, 1.0), (1, 2, 3.0), (0, 1, 2.0), (2, 3, 2.0)])
def test_each_process_resumes_what_it_logged(rank: int, world: int, expected: float) -> None:
    state = {"iterations": 5, "samples_seen": 40, "latest": [{"loss": torch.tensor(1.0)}, {"loss": torch.tensor(3.0)}]}
    trainer = SimpleNamespace(global_rank=rank, world_size=world)
    module = SimpleNamespace(_trainer=trainer, adapt=lambda checkpoint: None)
    IterationModule.on_load_checkpoint(module, {"mutoscope": state})  # type: ignore[arg-type]
    assert float(module.latest["loss"]) == expected


def without(run: Path, folder: Path, *parts: str) -> Path:
    """A copy of a run's last checkpoint, in a run directory, that lacks parts of it."""
    data = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    save_atomically({key: value for key, value in data.items() if key not in parts}, path)
    return path


@pytest.mark.parametrize("part", ["loops", "optimizer_states", "lr_schedulers", "pytorch-lightning_version"])
def test_a_checkpoint_of_weights_alone_is_no_place_to_go_on_from(
    tiny: Compose, trained: Path, tmp_path: Path, part: str
) -> None:
    without(trained, tmp_path, part)
    with pytest.raises(ConfigError, match=rf"last\.ckpt holds weights, but not {part}: .* another hydra\.run\.dir"):
        train(tiny("trainer.max_steps=8", "ckpt=last"), tmp_path)


def test_weights_alone_begin_another_run_but_without_moments(tiny: Compose, trained: Path, tmp_path: Path) -> None:
    path = without(trained, tmp_path / "bare", "loops", "optimizer_states", "lr_schedulers")
    train({**tiny("trainer.max_steps=1"), "ckpt": str(path)}, tmp_path / "tuned")
    assert last(tmp_path / "tuned")["mutoscope"]["iterations"] == 1
    with pytest.raises(ConfigError, match="holds the moments of 0 optimisers, but this model has 2: critic, generator"):
        train({**tiny("trainer.max_steps=1", "moments=true"), "ckpt": str(path)}, tmp_path / "other")


def test_an_average_starts_from_weights_that_have_none(
    tiny: Compose, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = ("trainer.max_steps=1", "model.optimizers.critic.lr=0.0", "model.optimizers.generator.lr=0.0")
    path = str(trained / "checkpoints" / "last.ckpt")
    train({**tiny(*still, "model.ema_half_life=null"), "ckpt": path}, tmp_path / "plain")
    assert "left aside: this run keeps none (model.ema_half_life=null)" in capsys.readouterr().out
    plain = last(tmp_path / "plain")["state_dict"]
    assert not [name for name in plain if name.startswith("ema.")]
    path = str(tmp_path / "plain" / "checkpoints" / "last.ckpt")
    train({**tiny(*still), "ckpt": path}, tmp_path / "averaged")
    assert "holds no average; that of this run (model.ema_half_life=" in capsys.readouterr().out
    averaged = last(tmp_path / "averaged")["state_dict"]
    names = [name for name in averaged if name.startswith("ema.") and name.endswith("weight") and "norm" not in name]
    assert names
    for name in names:
        torch.testing.assert_close(averaged[name], plain[name.replace("ema.network", "_generator")])
