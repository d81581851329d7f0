"""Measuring while training: what is left out where processes outnumber the chunks of samples."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.models.generative import GenerativeModule
from mutoscope.training.callbacks.generation_metrics import GenerationMetrics
from mutoscope.training.loggers import FileLogger


class Sum(Metric):
    """Counts in a tensor, which processes that saw nothing add zero to."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        self.total += values.sum()

    def compute(self) -> Tensor:
        return self.total


class Longest(Metric):
    """Keeps all it saw in a list, which cannot be gathered from a process that has none."""

    kept: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("kept", [], dist_reduce_fx="cat")

    def update(self, values: Tensor) -> None:
        self.kept.append(values)

    def compute(self) -> Tensor:
        return torch.cat(self.kept).max()


class Model:
    device = torch.device("cpu")
    averaged = nn.Linear(1, 1)

    def generate(self, chunk: float, *, seed: int) -> Tensor:
        return torch.tensor([chunk, 10 * chunk])


@pytest.mark.parametrize(("chunks", "world", "measured"), [(3, 4, {"sum"}), (4, 4, {"sum", "longest"}), (1, 1, None)])
def test_lists_are_not_gathered_where_a_process_has_no_chunk(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chunks: int,
    world: int,
    measured: set[str] | None,
) -> None:
    monkeypatch.setattr(torch.distributed, "broadcast", lambda buffer, src: None)
    monkeypatch.setattr(torch.distributed, "all_gather_object", lambda reasons, mine: reasons.__setitem__(0, mine))
    callback = GenerationMetrics(
        {"sum": Sum(), "longest": Longest()}, [float(i + 1) for i in range(chunks)], lambda made: {"values": made}
    )
    for _ in range(2):
        values = callback.measure(SimpleNamespace(global_rank=0, world_size=world), Model())  # type: ignore[arg-type]
        assert set(values) == (measured or {"sum", "longest"})
        # the first process has the first chunk
        assert values["sum"] == 11
        assert values.get("longest", 10) == 10
    said = " ".join(capsys.readouterr().out.split())
    left_out = f"The metric longest is left out: The samples come in {chunks} chunks, fewer than the {world} processes"
    assert said.count(left_out) == ("longest" not in values)


class Failing(Sum):
    """Fails where it is told to."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__()
        self.where, self.error = where, error

    def update(self, values: Tensor) -> None:
        if self.where == "update":
            raise self.error
        super().update(values)

    def compute(self) -> Tensor:
        if self.where == "compute":
            raise self.error
        return super().compute()


class Notes(FileLogger):
    """A logger in memory."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append({"step": step, **metrics})

    def log_note(self, text: str, step: int) -> None:
        self.rows.append({"step": step, "note": text})


def alone(metrics: dict[str, Metric], model: Any, **more: Any) -> tuple[GenerationMetrics, Any, Any]:
    callback = GenerationMetrics(metrics, [1.0, 2.0], lambda made: {"values": made}, every_n_steps=1)
    trainer: Any = SimpleNamespace(
        global_rank=0, world_size=1, loggers=[Notes()], limit_train_batches=9, should_stop=False, **more
    )
    return callback, trainer, model


class Trained(GenerativeModule):
    """Just enough of a model to be measured."""

    device = torch.device("cpu")  # type: ignore[assignment]
    iterations = 0

    def __init__(self, error: Exception | None = None) -> None:
        nn.Module.__init__(self)
        self.error, self.own = error, nn.Linear(1, 1)

    @property
    def averaged(self) -> nn.Module:
        return self.own

    def generate(self, chunk: float, *args: Any, **kwargs: Any) -> Any:
        self.own.eval()
        if self.error is not None:
            raise self.error
        return torch.tensor([chunk, 10 * chunk])


@pytest.mark.parametrize("where", ["update", "compute"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("covariance is\n not positive"), "ValueError: covariance is not positive"),
        (torch.OutOfMemoryError("too much"), "OutOfMemoryError: too much"),
        (KeyError(), "KeyError: without a message"),
        (TooFewSamplesError("2 clips"), "2 clips"),
    ],
)
def test_a_failing_metric_is_absent_and_its_reason_is_kept_once(
    capsys: pytest.CaptureFixture[str], where: str, error: Exception, reason: str
) -> None:
    callback, trainer, model = alone({"bad": Failing(where, error), "sum": Sum()}, Trained())
    for step in (1, 2):
        model.iterations = step
        callback.on_train_batch_end(trainer, model, None, None, 0)
    note = {"step": 1, "note": f"The metric bad is left out: {reason}"}
    assert trainer.loggers[0].rows == [{"step": 1, "metric/sum": 33.0}, note, {"step": 2, "metric/sum": 33.0}]
    assert " ".join(capsys.readouterr().out.split()).count(reason) == 1
    assert not callback.owed
    assert model.own.training


class Exchanging(Metric):
    """Keeps what it saw in a list and in a tensor, has both exchanged with a twin, and cannot compute every time."""

    kept: list[Tensor]
    total: Tensor
    failures = 1

    def __init__(self) -> None:
        super().__init__(distributed_available_fn=lambda: True, dist_sync_fn=lambda state, group: [state, state])
        self.add_state("kept", [], dist_reduce_fx="cat")
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        self.kept.append(values)
        self.total += values.sum()

    def compute(self) -> Tensor:
        assert isinstance(self.kept, Tensor)
        if self.failures:
            self.failures -= 1
            raise ValueError("all clips are alike")
        return self.total + len(self.kept)


def test_what_was_exchanged_when_computing_failed_is_forgotten() -> None:
    """The states are then others' as well as one's own, and a list is a tensor; the next measurement begins anew."""
    callback, trainer, model = alone({"bad": Exchanging(), "sum": Sum()}, Trained())
    for step in (1, 2):
        model.iterations = step
        callback.on_train_batch_end(trainer, model, None, None, 0)
    note = {"step": 1, "note": "The metric bad is left out: ValueError: all clips are alike"}
    # of two twins: twice 33, and twice the four values
    second = {"step": 2, "metric/bad": 74.0, "metric/sum": 33.0}
    assert trainer.loggers[0].rows == [{"step": 1, "metric/sum": 33.0}, note, second]


def test_a_model_that_cannot_generate_is_no_reason_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    callback, trainer, model = alone({"sum": Sum()}, Trained(RuntimeError("no frames")))
    model.iterations = 3
    callback.on_train_batch_end(trainer, model, None, None, 0)
    (row,) = trainer.loggers[0].rows
    assert row["note"] == "All metrics are left out, because generating for them failed: RuntimeError: no frames"
    assert model.own.training


def test_interrupts_are_no_failures() -> None:
    callback, trainer, model = alone({"sum": Failing("update", KeyboardInterrupt())}, Trained())
    model.iterations = 3
    with pytest.raises(KeyboardInterrupt):
        callback.on_train_batch_end(trainer, model, None, None, 0)
    assert callback.owed


def test_what_fails_on_another_process_is_absent_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody starts to exchange a metric's states while another has left the metric out."""

    def gathered(reasons: list[Any], mine: Any) -> None:
        reasons[:] = [mine, "the other ran out of memory"] if asked["count"] == 1 else [mine, None]
        asked["count"] += 1

    asked = {"count": 0}
    monkeypatch.setattr(torch.distributed, "broadcast", lambda buffer, src: None)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gathered)
    computed: list[str] = []

    class Watched(Sum):
        def compute(self) -> Tensor:
            computed.append("here")
            return super().compute()

    callback, trainer, model = alone({"first": Watched(), "second": Sum()}, Trained())
    trainer.world_size = 2
    assert callback.measure(trainer, model) == {"second": 11.0}
    assert computed == []
