"""Measuring while training: what is left out where processes outnumber the chunks of samples."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from mutoscope.training.callbacks.generation_metrics import GenerationMetrics


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
