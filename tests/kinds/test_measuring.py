"""Tables filled row by row: what is gathered once, what is said once."""

import pytest
import torch
from torch import Tensor

from mutoscope.kinds import measuring
from mutoscope.kinds.measuring import Measuring
from mutoscope.metrics import FrechetDistance, MaximumMeanDiscrepancy, RecognitionAccuracy
from mutoscope.metrics.motion import MotionMetric


class Named:
    """A recogniser that reads the class from the first coordinate."""

    classes = 3
    num_features = 1

    def features(self, joints: Tensor) -> Tensor:
        return joints[:, 0, 0, :1]

    def __call__(self, joints: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(joints[:, 0, 0, 0].long(), 3).float()

    def eval(self) -> "Named":
        return self


class CountedMMD(MaximumMeanDiscrepancy):
    """Counts how often it is given real features."""

    real_updates = 0

    def update(self, features: Tensor, real: bool) -> None:
        self.real_updates += int(real)
        super().update(features, real)


def features(count: int, seed: int, real: bool) -> dict[str, object]:
    return {"features": torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), "real": real}


def test_the_reference_is_gathered_once_and_every_row_is_as_if_alone() -> None:
    reference = features(20, 0, True)
    metric = CountedMMD()
    measuring_ = Measuring({"mmd": metric}, reference)
    rows = [measuring_.row(str(s), [features(6, s, False), features(9, s + 10, False)])[0]["mmd"] for s in (1, 2, 1)]
    assert metric.real_updates == 1
    for seed, found in zip((1, 2, 1), rows, strict=True):
        alone = MaximumMeanDiscrepancy()
        for part in (reference, features(6, seed, False), features(9, seed + 10, False)):
            alone.update(**part)  # type: ignore[arg-type]
        assert found == float(alone.compute())
    assert rows[0] == rows[2] != rows[1]


def test_why_a_metric_is_silent_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(measuring, "say", said.append)
    table = Measuring({"mmd": MaximumMeanDiscrepancy()}, features(5, 0, True))
    assert [table.row(name, [features(1, 1, False)])[0] for name in ("a", "b", "c")] == [{"mmd": None}] * 3
    few = "MaximumMeanDiscrepancy needs at least 2 samples on each side, got 5 real and 1 fake ones."
    assert said == [f"mmd of 'a' is left out: {few}"]
    value = table.row("d", [features(4, 1, False)])[0]["mmd"]
    assert value is not None
    table.row("e", [])
    assert len(said) == 2, "another reason is said too"


class Broken(MaximumMeanDiscrepancy):
    """Fails in the way it is told to."""

    def __init__(self, failure: Exception | float) -> None:
        super().__init__()
        self.failure = failure

    def compute(self) -> Tensor:
        if isinstance(self.failure, Exception):
            raise self.failure
        return torch.tensor(self.failure)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (ValueError("Features hold NaN."), "Features hold NaN."),
        (torch.linalg.LinAlgError("no convergence"), "LinAlgError: no convergence (debug=true shows where)"),
        (MemoryError(), "MemoryError (debug=true shows where)"),
        (float("nan"), "it came out as nan, which is no number."),
        (float("-inf"), "it came out as -inf, which is no number."),
    ],
)
def test_a_metric_that_fails_leaves_the_others_alone(failure: Exception | float, reason: str) -> None:
    metrics = {"broken": Broken(failure), "mmd": MaximumMeanDiscrepancy()}
    found = Measuring(metrics, features(5, 0, True)).row("a", [features(4, 1, False)])
    assert found.values["broken"] is None
    assert found.absent == {"broken": reason}
    assert found.values["mmd"] is not None
    if isinstance(failure, Exception) and not isinstance(failure, ValueError):
        with pytest.raises(type(failure)):
            Measuring(metrics, features(5, 0, True), strict=True).row("a", [features(4, 1, False)])


def test_what_a_metric_warns_of_is_kept() -> None:
    table = Measuring({"fid": FrechetDistance(3)}, features(9, 0, True))
    assert table.row("a", [features(3, 1, False)]).values["fid"] is not None
    assert "biased upward; use more than 3 samples per side" in table.notes["fid"]


def test_what_is_recognised_is_counted_class_by_class() -> None:
    joints = torch.zeros(4, 2, 1, 1)
    joints[:, :, 0, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])[:, None]
    metrics: dict[str, MotionMetric] = {"accuracy": RecognitionAccuracy(Named())}
    part = {"joints": joints, "label": torch.tensor([0, 1, 1, 1]), "mask": None, "real": False}
    values, per_class, absent, _ = Measuring(metrics).row("clips", [part])
    assert absent == {}
    assert values == {"accuracy": pytest.approx(3 / 4)}
    assert per_class["accuracy"][:2] == [1.0, pytest.approx(2 / 3)]
    assert per_class["accuracy"][2] != per_class["accuracy"][2]
