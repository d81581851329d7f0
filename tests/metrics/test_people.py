"""Persons that detectors find: distances, those that are lost, and whom the paper takes for the player."""

import math
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mutoscope.config.nodes import build
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.people import TennisPlayer
from mutoscope.formats.weights import FOLDER, MissingWeightsError
from mutoscope.formats.weights_manifest import MANIFEST
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.people import DetectionDistance, MissedDetections
from mutoscope.structures import DatasetInfo


class Bright:
    """Finds what is bright."""

    def __call__(self, frames: Tensor) -> Tensor:
        boxes = torch.full((len(frames), 4), torch.nan)
        for box, frame in zip(boxes, frames, strict=True):
            rows, columns = torch.where(frame.float().mean(0) > 200)
            if len(rows):
                box.copy_(torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]))
        return boxes


def clip(*places: tuple[int, int] | None) -> Tensor:
    """A clip of a bright square of 4 pixels, by its corner (x, y); nobody in some frames."""
    frames = torch.zeros(1, len(places), 3, 20, 30, dtype=torch.uint8)
    for t, place in enumerate(places):
        if place is not None:
            frames[0, t, :, place[1] : place[1] + 4, place[0] : place[0] + 4] = 255
    return frames


def test_distances_are_those_of_centres_where_both_are_found() -> None:
    metric = DetectionDistance(Bright(), chunk=2)
    metric.update(clip((0, 0), (3, 4), None, (9, 9)), clip((0, 0), (0, 0), (5, 5), None))
    assert float(metric.compute()) == pytest.approx(2.5)
    metric = DetectionDistance(Bright())
    metric.update(clip(None), clip((0, 0)))
    with pytest.raises(TooFewSamplesError, match="found in both clips"):
        metric.compute()


def test_who_is_lost_is_counted_among_those_who_are_there() -> None:
    for unit, scale in (("percent", 100), ("fraction", 1)):
        metric = MissedDetections(Bright(), unit=unit)  # type: ignore[arg-type]
        metric.update(clip((0, 0), None, None, (2, 2)), clip((1, 1), (1, 1), None, None))
        metric.update(clip(None), clip((1, 1)))
        assert float(metric.compute()) == pytest.approx(scale * 2 / 3)


def test_a_detector_that_answers_otherwise_is_said() -> None:
    metric = DetectionDistance(lambda frames: torch.zeros(3, 5))
    with pytest.raises(ValueError, match=r"the detector gave boxes of \[3, 5\]"):
        metric.update(clip((0, 0)), clip((0, 0)))


def test_detectors_are_named_in_configs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = """
        import torch


        class Nobody:
            def __call__(self, frames):
                return torch.full((len(frames), 4), torch.nan)


        class Everybody:
            def __call__(self, frames):
                return torch.zeros(len(frames), 4)
    """
    (tmp_path / "finders.py").write_text(dedent(code))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "finders")
    node = {"_target_": "mutoscope.metrics.MissedDetections", "detector": {"_target_": "finders.Everybody"}}
    metric = build(node, "metrics.mdr")
    metric.update(clip(None), clip((0, 0)))
    assert float(metric.compute()) == 0
    metric = build({**node, "detector": {"_target_": "finders.Nobody"}}, "metrics.mdr")
    metric.update(clip(None), clip((0, 0)))
    with pytest.raises(TooFewSamplesError):
        metric.compute()


def test_without_weights_it_is_absent_with_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    info = DatasetInfo(name="tennis", kind="video", classes=(), fps=5, length=4, channels=3, frame_size=(96, 256))
    node: dict[str, Any] = {
        "_target_": "mutoscope.metrics.DetectionDistance",
        "detector": {"_target_": "mutoscope.evaluators.people.TennisPlayer"},
    }
    absent = build_metrics({"add": node}, Provided(info))["add"]
    with pytest.raises(TooFewSamplesError, match=r"fasterrcnn_resnet50_fpn_coco-258fb6c6\.pth"):
        absent.compute()
    with pytest.raises(MissingWeightsError, match="There is no file"):
        TennisPlayer(str(tmp_path / "nothing.pth"))


def test_the_player_is_the_tallest_who_is_no_line_judge(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"")
    player = TennisPlayer(str(path))
    boxes = torch.tensor(
        [
            [20.0, 20, 50, 90],  # a line judge to the left
            [210, 10, 240, 95],  # and to the right
            [100, 85, 130, 96],  # somebody at the lower edge
            [110, 30, 130, 70],  # the player
            [115, 5, 125, 25],  # the other player
            [100, 5, 140, 95],  # a chair
            [90, 5, 140, 95],  # hardly seen
        ]
    )
    scores = torch.tensor([0.99, 0.99, 0.99, 0.9, 0.95, 0.99, 0.7])
    labels = torch.tensor([1, 1, 1, 1, 1, 62, 1])
    assert player.chosen(boxes, scores, labels).tolist() == [110, 30, 130, 70]
    assert math.isnan(float(player.chosen(boxes[:3], scores[:3], labels[:3])[0]))
    everybody = TennisPlayer(str(path), court=False)
    assert everybody.chosen(boxes, scores, labels).tolist() == [210, 10, 240, 95]


def test_its_address_is_torchvisions() -> None:
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    entry, published = MANIFEST["fasterrcnn_resnet50_fpn"], FasterRCNN_ResNet50_FPN_Weights.COCO_V1
    assert entry.url == published.url
    assert entry.about == pytest.approx(published.meta["_file_size"], abs=0.06)


class Tiny(nn.Module):
    """In torchvision's place: finds a box as large as the brightest value and its bias say."""

    def __init__(self, weights: Any, weights_backbone: Any) -> None:
        super().__init__()
        assert weights is weights_backbone is None
        self.side = nn.Parameter(torch.zeros(()))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        assert not self.training
        return [
            {
                "boxes": (image.max() + self.side) * torch.tensor([[0.0, 0, 1, 1]]),
                "scores": torch.ones(1),
                "labels": torch.ones(1),
            }
            for image in images
        ]


def test_frames_go_to_a_network_with_the_files_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torchvision.models.detection.fasterrcnn_resnet50_fpn", Tiny)
    path = tmp_path / "weights.pth"
    torch.save({"side": torch.tensor(7.0)}, path)
    found = TennisPlayer(str(path), court=False)(torch.full((2, 3, 8, 8), 255, dtype=torch.uint8))
    assert found.tolist() == [[0, 0, 8, 8]] * 2


def test_files_with_other_weights_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torchvision.models.detection.fasterrcnn_resnet50_fpn", Tiny)
    frames = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    for name, content, message in (
        ("other", {"weight": torch.zeros(3)}, r"other\.pth holds no weights of .*: 'side' is missing, .*weights fetch"),
        ("wider", {"side": torch.zeros(3)}, r"'side' has the shape \[3\], expected \[\]"),
        ("epoch", {"epoch": 3}, "holds no plain state dictionary"),
    ):
        torch.save(content, path := tmp_path / f"{name}.pth")
        with pytest.raises(ValueError, match=message):
            TennisPlayer(str(path))(frames)
    (torn := tmp_path / "torn.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"torn\.pth' cannot be read"):
        TennisPlayer(str(torn))(frames)
