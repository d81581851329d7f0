"""Ctrl-C and SIGTERM at any moment of a training: what stands, what is said, and that going on loses nothing."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor
from torchmetrics import Metric

from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.runtime.errors import RunError
from mutoscope.runtime.interrupts import Interrupted
from mutoscope.training.callbacks.generation_metrics import GenerationMetrics
from mutoscope.training.callbacks.run_log import TrainingDivergedError
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs import train as verb
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


def last(run_dir: Path) -> dict[str, Any]:
    return read_checkpoint(run_dir / "checkpoints" / "last.ckpt")


class Sender(Callback):
    """Sends this process a signal at the start of an iteration."""

    def __init__(self, number: signal.Signals, iteration: int) -> None:
        self.number, self.iteration = number, iteration

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iterations == self.iteration - 1:
            os.kill(os.getpid(), self.number)


def with_callbacks(monkeypatch: pytest.MonkeyPatch, *more: Callback) -> None:
    original = verb._callbacks

    def callbacks(*args: Any) -> list[Callback]:
        own = original(*args)
        # after the one that defers signals, before the one that writes checkpoints
        return [own[0], *more, *own[1:]]

    monkeypatch.setattr(verb, "_callbacks", callbacks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    tiny: Compose, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("MUTOSCOPE_COMMAND", '["train.py", "dataset.length=16", "overwrite=true", "name=a b"]')
    with monkeypatch.context() as patch:
        with_callbacks(patch, Sender(number, 4))
        with pytest.raises(Interrupted) as caught:
            train(tiny("trainer.max_steps=6"), tmp_path)
    said = str(caught.value)
    assert "Stopped after iteration 4 of 6, which" in said
    assert f"\n  python train.py dataset.length=16 'name=a b' ckpt=last hydra.run.dir={tmp_path}" in said
    assert last(tmp_path)["mutoscope"]["iterations"] == 4
    train(tiny("trainer.max_steps=6", "ckpt=last"), tmp_path)
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(last(tmp_path)[part], last(trained)[part], rtol=0, atol=0)


def test_before_the_first_iteration_no_checkpoint_is_promised(
    tiny: Compose, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(dataset: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(verb, "prepared", interrupted)
        with pytest.raises(
            Interrupted, match=r"before the first iteration. There is no checkpoint yet; the same command"
        ):
            train(tiny("trainer.max_steps=6"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(tiny("trainer.max_steps=1"), tmp_path / "run")
    monkeypatch.setattr(verb, "prepared", interrupted)
    with pytest.raises(Interrupted, match=r"last\.ckpt is as it was. To go on from it:\n"):
        train(tiny("trainer.max_steps=6", "ckpt=last"), tmp_path / "run")


def test_while_the_run_is_set_up_its_checkpoint_stands(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Early(Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    train(tiny("trainer.max_steps=2"), tmp_path)
    with_callbacks(monkeypatch, Early())
    with pytest.raises(Interrupted, match=r"before the first iteration. .*last\.ckpt holds iteration 2 and is whole"):
        train(tiny("trainer.max_steps=6", "ckpt=last"), tmp_path)


class Interrupting(Metric):
    """Counts clips; the first time someone presses Ctrl-C while it does."""

    count: Tensor
    pressed = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, joints: Tensor) -> None:
        if not Interrupting.pressed:
            Interrupting.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        self.count += len(joints)

    def compute(self) -> Tensor:
        return self.count


@pytest.mark.parametrize("steps", [4, 6])
def test_a_measurement_that_was_cut_short_is_made_up_for(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    original = verb._callbacks

    def callbacks(*args: Any) -> list[Callback]:
        own = original(*args)
        label = torch.zeros(2, dtype=torch.int64)
        measured = GenerationMetrics(
            {"count": Interrupting()}, [label], lambda sample: {"joints": sample.fake}, None, 4
        )
        return [own[0], measured, *own[1:]]

    monkeypatch.setattr(verb, "_callbacks", callbacks)
    monkeypatch.setattr(Interrupting, "pressed", False)
    with pytest.raises(Interrupted, match="Stopped after iteration 4"):
        train(tiny(f"trainer.max_steps={steps}"), tmp_path)
    train(tiny(f"trainer.max_steps={steps}", "ckpt=last"), tmp_path)
    measured = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "metric/count" in row]
    assert [(row["step"], row["metric/count"]) for row in measured] == [(4, 2.0), (6, 2.0)][: 1 + (steps == 6)]
    assert last(tmp_path)["mutoscope"]["iterations"] == steps


def test_a_run_stopped_at_its_last_iteration_is_done(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_callbacks(monkeypatch, Sender(signal.SIGINT, 2))
    assert train(tiny("trainer.max_steps=2", "objective=loss/critic"), tmp_path) is not None


class Spoiler(Callback):
    """Makes a weight infinite after an iteration, as a step with finite losses may."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        if pl_module.iterations == self.iteration:
            with torch.no_grad():
                next(pl_module.parameters()).view(-1)[0] = torch.inf


@pytest.mark.parametrize(
    ("iteration", "stands"), [(2, "There is no checkpoint yet"), (4, "holds iteration 2 and is whole")]
)
def test_spoilt_weights_never_replace_a_checkpoint(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iteration: int, stands: str
) -> None:
    with_callbacks(monkeypatch, Spoiler(iteration))
    with pytest.raises(TrainingDivergedError, match=rf"A weight of .* became nan at iteration {iteration}.*{stands}"):
        train(tiny("trainer.max_steps=6", "trainer.checkpoint_every_n_steps=2"), tmp_path)
    assert (tmp_path / "checkpoints" / "last.ckpt").exists() == (iteration == 4)


@pytest.mark.parametrize(("number", "words"), [(28, "The disk is full"), (30, "file system that is read-only")])
def test_a_full_disk_is_said_with_what_stands(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    original = torch.save

    def full(data: Any, file: Any) -> None:
        if data["mutoscope"]["iterations"] == 4:
            raise OSError(number, os.strerror(number))
        original(data, file)

    monkeypatch.setattr(torch, "save", full)
    config = tiny("trainer.max_steps=6", "trainer.checkpoint_every_n_steps=2")
    with pytest.raises(RunError, match=rf"{words}|last\.ckpt lies on a") as caught:
        train(config, tmp_path)
    assert words in str(caught.value)
    assert "last.ckpt holds iteration 2 and is whole. To go on from it:" in str(caught.value)
    assert last(tmp_path)["mutoscope"]["iterations"] == 2
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_two_trainings_in_one_directory_are_refused(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[str] = []

    class Second(Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            with pytest.raises(ValueError, match="works in") as caught:
                train(tiny("trainer.max_steps=2", "overwrite=true"), tmp_path)
            refusals.append(str(caught.value))

    with_callbacks(monkeypatch, Second())
    train(tiny("trainer.max_steps=3"), tmp_path)
    assert f"Process {os.getpid()} on" in refusals[0]
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3]
