"""The optimiser step and the random streams that all models share."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mutoscope.models.base import IterationModule, OptimizerFactory
from mutoscope.models.seeding import seeded, step_seed
from mutoscope.structures import DatasetInfo, Kind
from mutoscope.training.trainer import make_trainer

INFO = DatasetInfo("dots", "motion", ("a", "b"), 30.0, 4, 3)


class Pair(IterationModule):
    """Two linear maps; the loss of each also depends on the other."""

    takes: ClassVar[Kind] = "motion"

    def __init__(
        self, optimizers: Mapping[str, OptimizerFactory], *, micro_batches: int = 1, clip_norm: float | None = None
    ) -> None:
        super().__init__(INFO, optimizers=optimizers, micro_batches=micro_batches, clip_norm=clip_norm)
        self.first, self.second = (nn.Linear(2, 2, bias=False) for _ in range(2))
        for network in (self.first, self.second):
            nn.init.eye_(network.weight)
        self.seen: list[tuple[str, bool, bool]] = []
        self.noise: list[Tensor] = []
        self.ready()

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        return {"first": [self.first], "second": [self.second]}

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        self.noise.append(torch.randn(2))

        def loss(name: str, x: Tensor) -> Tensor:
            self.seen.append((name, self.first.weight.requires_grad, self.second.weight.requires_grad))
            return self.second(self.first(x)).square().mean()

        for name in ("first", "second"):
            parts = self.parts(batch)
            self.latest[f"loss/{name}"] = self.update(name, [partial(loss, name, *part) for part in parts])


def sgd(lr: float = 0.1) -> OptimizerFactory:
    return partial(torch.optim.SGD, lr=lr)


def fit(model: Pair, batches: Sequence[Tensor], tmp_path: Path, callbacks: Sequence[Callback] = ()) -> Pair:
    trainer = make_trainer(
        max_steps=len(batches),
        callbacks=list(callbacks),
        loggers=[],
        run_dir=str(tmp_path),
        accelerator="cpu",
        progress=False,
        log_every_n_steps=1,
    )
    trainer.fit(model, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    return model


def test_each_optimiser_moves_its_own_networks_with_the_others_frozen(tmp_path: Path) -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    model = fit(Pair({"first": sgd(), "second": sgd(0.0)}), [x], tmp_path)
    assert model.seen == [("first", True, False), ("second", False, True)]
    assert torch.equal(model.second.weight, torch.eye(2))
    expected = torch.eye(2, requires_grad=True)
    loss = (x @ expected.T).square().mean()
    (gradient,) = torch.autograd.grad(loss, expected)
    torch.testing.assert_close(model.first.weight.detach(), torch.eye(2) - 0.1 * gradient)
    torch.testing.assert_close(model.latest["loss/first"], loss.detach())
    torch.testing.assert_close(model.latest["health/grad_norm_first"], gradient.norm())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_parts_accumulate_to_the_step_of_the_whole_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batches = [torch.randn(8, 2) for _ in range(3)]
    models = [fit(Pair({"first": sgd(), "second": sgd()}, micro_batches=n), batches, tmp_path) for n in (1, 4)]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(models[0].latest, models[1].latest)
    assert (models[1].iterations, models[1].samples_seen) == (3, 24)
    with pytest.raises(ValueError, match="mini-batch of 8 cannot be worked off in 3 equal parts"):
        fit(Pair({"first": sgd(), "second": sgd()}, micro_batches=3), batches, tmp_path)


def test_clipping_is_per_optimiser_and_the_logged_norm_is_the_one_before(tmp_path: Path) -> None:
    x = 100 * torch.tensor([[1.0, 2.0]])
    model = fit(Pair({"first": sgd(1.0), "second": sgd(1.0)}, clip_norm=0.5), [x], tmp_path)
    for network in (model.first, model.second):
        assert (network.weight - torch.eye(2)).norm().item() == pytest.approx(0.5, rel=1e-4)
    assert model.latest["health/grad_norm_first"] > 100


@pytest.mark.parametrize(
    ("world_size", "precision", "told"),
    [(2, "32-true", "several processes"), (1, "16-mixed", "16-mixed precision"), (1, "bf16-mixed", None)],
)
def test_steps_in_backward_need_whole_gradients(world_size: int, precision: str, told: str | None) -> None:
    model = Pair({"first": sgd(), "second": sgd()})
    model.steps_in_backward = True
    model._trainer = SimpleNamespace(world_size=world_size, precision=precision)  # type: ignore[assignment]
    if told is None:
        assert len(model.configure_optimizers()[0]) == 2
        return
    with pytest.raises(ValueError, match=f"does not go together with {told}"):
        model.configure_optimizers()


def test_callbacks_see_the_iteration_counted(tmp_path: Path) -> None:
    class Watch(Callback):
        counts: ClassVar[list[int]] = []

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            self.counts.append(pl_module.iterations)

    fit(Pair({"first": sgd(), "second": sgd()}), [torch.ones(2, 2)] * 3, tmp_path, [Watch()])
    assert Watch.counts == [1, 2, 3]


def test_noise_of_an_iteration_does_not_depend_on_what_was_drawn_before(tmp_path: Path) -> None:
    class Disturb(Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            torch.randn(17)

    batches = [torch.ones(2, 2)] * 3
    calm = fit(Pair({"first": sgd(), "second": sgd()}), batches, tmp_path)
    disturbed = fit(Pair({"first": sgd(), "second": sgd()}), batches, tmp_path, [Disturb()])
    torch.testing.assert_close(calm.noise, disturbed.noise, rtol=0, atol=0)
    assert not torch.equal(calm.noise[0], calm.noise[1])


def test_seeds_of_iterations_ranks_and_runs_are_all_different() -> None:
    seeds = {step_seed(s, i, r) for s in range(4) for i in range(1000) for r in range(8)}
    assert len(seeds) == 4 * 1000 * 8
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeded_draws_the_same_and_leaves_the_stream_alone() -> None:
    torch.manual_seed(3)
    undisturbed = torch.randn(4)
    torch.manual_seed(3)
    draws = []
    for _ in range(2):
        with seeded(11, torch.device("cpu")):
            draws.append(torch.randn(4))
    assert torch.equal(*draws)
    assert torch.equal(torch.randn(4), undisturbed)


def test_optimisers_and_networks_must_fit() -> None:
    with pytest.raises(ValueError, match="Pair moves first, second but was given optimisers for first"):
        Pair({"first": sgd()}).configure_optimizers()
    with pytest.raises(ValueError, match="micro_batches is 0, expected at least 1"):
        Pair({"first": sgd(), "second": sgd()}, micro_batches=0)
