from pathlib import Path

import pytest
import torch
from torchvision import models

from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.published import PretrainedLPIPS
from mutoscope.formats.weights import MissingWeightsError
from mutoscope.kinds.measuring import Measuring
from mutoscope.kinds.tables import metric_column
from mutoscope.metrics import LayoutIoU
from mutoscope.structures import CATER_VOCABULARY, DatasetInfo

INFO = DatasetInfo(
    name="made up",
    kind="action_graph",
    classes=CATER_VOCABULARY.action_names,
    fps=8.0,
    length=4,
    channels=3,
    vocabulary=CATER_VOCABULARY,
)


def test_weights_of_a_file_are_used(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "squeeze.pth")
    metric = PretrainedLPIPS("squeeze", str(tmp_path / "squeeze.pth"))
    a, b = torch.randint(0, 256, (2, 1, 2, 3, 64, 64), dtype=torch.uint8)
    metric.update(a, b)
    assert float(metric.compute()) > 0
    assert not [p for p in metric.parameters() if p.requires_grad]


def test_absent_weights_leave_the_metric_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="alexnet"):
        PretrainedLPIPS()
    nodes = {
        "lpips": {"_target_": "mutoscope.evaluators.published.PretrainedLPIPS"},
        "miou": {"_target_": "mutoscope.metrics.LayoutIoU"},
    }
    metrics = build_metrics(nodes, Provided(INFO))
    assert list(metrics) == ["lpips", "miou"]
    assert isinstance(metrics["miou"], LayoutIoU)
    # it stands in the table, without a value and with its reason
    measured = Measuring({"lpips": metrics["lpips"]}).row("trained", [{"fake_frames": None}])
    assert measured.values == {"lpips": None}
    assert "mutoscope weights fetch alexnet" in measured.absent["lpips"]
    assert metric_column("lpips", metrics["lpips"]).better == "lower"
    said = " ".join(capsys.readouterr().out.split())
    assert "lpips is left out" in said
    assert str(tmp_path) in said.replace(" ", "")


def test_weights_that_are_named_must_be_there() -> None:
    nodes = {"lpips": {"_target_": "mutoscope.evaluators.published.PretrainedLPIPS", "weights": "mistyped.pth"}}
    with pytest.raises(MissingWeightsError, match=r"There is no file mistyped\.pth"):
        build_metrics(nodes, Provided(INFO))


def test_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="alex, squeeze, vgg"):
        PretrainedLPIPS("resnet")
